// Turns the classic histograms of a text format into histograms with custom buckets on the way.
//
// The inner parser gives series by series; those of one classic histogram (same base name, same
// labels but le, contiguous) are collected and become one entry as soon as something else follows.
// That something is kept back and given next.
//
//   inner:  x_bucket{le="1"} x_bucket{le="+Inf"} x_sum x_count | y ...
//   outer:                                                      x(histogram)  y ...
//
// A histogram that cannot be converted is dropped silently: text formats are best effort here.
// A native histogram of the same labels in front suppresses the conversion.
#include <cmath>

#include "exposition/classic_histogram.h"
#include "exposition/parser.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exposition {
namespace {

class ConvertingParser final : public Parser {
 public:
  ConvertingParser(std::unique_ptr<Parser> inner, const ParserOptions& options)
      : inner_(std::move(inner)), options_(options) {}

  Entry Next() override {
    for (;;) {
      if (state_ == State::kEmitting) {
        // Now for what followed the histogram.
        state_ = State::kIdle;
        ShowInner();
        if (pending_ == Entry::kSeries && Collect() && !options_.keep_classic) continue;
        return pending_;
      }
      pending_ = inner_->Next();
      if (pending_ == Entry::kError) {
        status_ = inner_->status();
        return Entry::kError;
      }
      if (pending_ == Entry::kEnd) return Emit() ? Entry::kHistogram : Entry::kEnd;
      if (pending_ == Entry::kSeries) {
        labels_ = inner_->SeriesLabels();
        if (state_ == State::kCollecting && BelongsElsewhere() && Emit()) {
          return Entry::kHistogram;
        }
        ShowInner();
        if (state_ == State::kSuppressed) {
          if (!BelongsElsewhere()) return pending_;
          state_ = State::kIdle;
        }
        if (Collect() && !options_.keep_classic) continue;
        return pending_;
      }
      if (pending_ == Entry::kHistogram) {
        // Native: whatever was collected before ends here without a conversion.
        state_ = State::kSuppressed;
        histogram_parts_.Reset();
        collected_exemplars_.clear();
        labels_ = inner_->SeriesLabels();
        base_name_ = labels_.metric_name();
        base_labels_ = labels_;
      } else if (Emit()) {
        if (pending_ == Entry::kType) family_type_name_ = inner_->family();
        return Entry::kHistogram;
      }
      if (pending_ == Entry::kType) family_type_name_ = inner_->family();
      ShowInner();
      return pending_;
    }
  }

  Labels SeriesLabels() override { return state_ == State::kEmitting ? emitted_labels_ : labels_; }

  bool NextExemplar(Exemplar* exemplar) override {
    if (state_ != State::kEmitting) return inner_->NextExemplar(exemplar);
    if (next_exemplar_ >= emitted_exemplars_.size()) return false;
    *exemplar = std::move(emitted_exemplars_[next_exemplar_++]);
    return true;
  }

  int64_t StartTimestampMs() override {
    switch (state_) {
      case State::kEmitting: return emitted_start_ms_;
      case State::kCollecting: return collected_start_ms_;
      default: return inner_->StartTimestampMs();
    }
  }

 private:
  enum class State : uint8_t { kIdle, kCollecting, kEmitting, kSuppressed };

  void ShowInner() {
    family_ = inner_->family();
    text_ = inner_->text();
    type_ = inner_->type();
    series_ = inner_->series();
    value_ = inner_->value();
    has_timestamp_ = inner_->timestamp_ms().has_value();
    timestamp_ms_ = inner_->timestamp_ms().value_or(0);
    histogram_ = inner_->histogram();
    float_histogram_ = inner_->float_histogram();
  }

  Labels WithoutBound(const Labels& labels) const {
    return labels.Without({std::string(kBucketLabel)}, /*drop_name=*/true);
  }

  bool BelongsElsewhere() const {
    if (inner_->type() != MetricType::kHistogram) return true;
    std::string_view base;
    SplitHistogramName(labels_.metric_name(), &base);
    return base != base_name_ || WithoutBound(labels_) != WithoutBound(base_labels_);
  }

  // Takes the current series in when it is part of a classic histogram of the current family.
  bool Collect() {
    if (inner_->type() != MetricType::kHistogram) return false;
    std::string_view base;
    const HistogramPart part = SplitHistogramName(labels_.metric_name(), &base);
    if (part == HistogramPart::kNone || base != family_type_name_) return false;
    double bound = 0;
    if (part == HistogramPart::kBucket) {
      const std::string_view text = labels_.Get(kBucketLabel);
      bool out_of_range = false;
      const std::optional<double> number = ParseFloat(text, &out_of_range);
      if (!number || out_of_range || std::isnan(*number)) return false;
      bound = *number;
    }
    if (state_ != State::kCollecting) {
      state_ = State::kCollecting;
      base_name_ = base;
      base_labels_ = labels_;
      collected_start_ms_ = options_.skip_created_series ? inner_->StartTimestampMs() : 0;
      LabelsBuilder builder(labels_);
      builder.Set(kMetricNameLabel, base).Delete(kBucketLabel);
      collected_labels_ = builder.Build();
    }
    for (Exemplar exemplar; inner_->NextExemplar(&exemplar); exemplar = {}) {
      collected_exemplars_.push_back(std::move(exemplar));
    }
    // The histogram has the last part's timestamp as its own; errors show when it is converted.
    collected_timestamp_ms_ = inner_->timestamp_ms();
    Status unused;
    switch (part) {
      case HistogramPart::kBucket:
        unused = histogram_parts_.SetBucket(bound, inner_->value());
        break;
      case HistogramPart::kSum: unused = histogram_parts_.SetSum(inner_->value()); break;
      default: unused = histogram_parts_.SetCount(inner_->value()); break;
    }
    return true;
  }

  // Ends the collection. True when there is a histogram to give.
  bool Emit() {
    if (state_ != State::kCollecting) return false;
    Result<AnyHistogram> converted = histogram_parts_.Convert();
    histogram_parts_.Reset();
    emitted_exemplars_ = std::move(collected_exemplars_);
    collected_exemplars_.clear();
    next_exemplar_ = 0;
    if (!converted.ok()) {
      state_ = State::kIdle;
      return false;
    }
    state_ = State::kEmitting;
    emitted_ = *std::move(converted);
    emitted_labels_ = std::move(collected_labels_);
    emitted_start_ms_ = collected_start_ms_;
    emitted_series_ = SeriesText(emitted_labels_);
    series_ = emitted_series_;
    has_timestamp_ = collected_timestamp_ms_.has_value();
    timestamp_ms_ = collected_timestamp_ms_.value_or(0);
    histogram_ = emitted_.integer ? &*emitted_.integer : nullptr;
    float_histogram_ = emitted_.floating ? &*emitted_.floating : nullptr;
    return true;
  }

  // name{a="b",c="d"}, without braces when there are no labels.
  static std::string SeriesText(const Labels& labels) {
    std::string text(labels.metric_name());
    char separator = '{';
    for (const LabelView& pair : labels) {
      if (pair.name == kMetricNameLabel) continue;
      text.push_back(separator);
      separator = ',';
      text += IsLegacyLabelName(pair.name) ? std::string(pair.name) : GoQuote(pair.name);
      text += "=" + GoQuote(pair.value);
    }
    if (separator == ',') text.push_back('}');
    return text;
  }

  std::unique_ptr<Parser> inner_;
  ParserOptions options_;
  State state_ = State::kIdle;
  Entry pending_ = Entry::kEnd;
  Labels labels_;                 // Of the inner parser's current sample.
  std::string family_type_name_;  // Of the last TYPE line.

  // The histogram being collected (or suppressed).
  std::string base_name_;
  Labels base_labels_;
  Labels collected_labels_;
  ClassicHistogram histogram_parts_;
  std::vector<Exemplar> collected_exemplars_;
  int64_t collected_start_ms_ = 0;
  std::optional<int64_t> collected_timestamp_ms_;

  // The histogram being given.
  AnyHistogram emitted_;
  Labels emitted_labels_;
  std::string emitted_series_;
  std::vector<Exemplar> emitted_exemplars_;
  size_t next_exemplar_ = 0;
  int64_t emitted_start_ms_ = 0;
};

}  // namespace

std::unique_ptr<Parser> CreateConvertingParser(std::unique_ptr<Parser> inner,
                                               const ParserOptions& options) {
  return std::make_unique<ConvertingParser>(std::move(inner), options);
}

}  // namespace narthex::exposition
