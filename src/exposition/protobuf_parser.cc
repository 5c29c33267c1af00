// The delimited protobuf format: a sequence of length-prefixed MetricFamily messages.
//
// One metric may stand for many samples. What a metric gives is laid out once as a list of steps
// (count, sum, each bucket or quantile, a native histogram), and Next() walks families, metrics and
// steps:
//
//   family -> HELP, (UNIT), TYPE -> metric 1: step step step -> metric 2: ... -> next family
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "exposition/classic_histogram.h"
#include "exposition/client_proto.h"
#include "exposition/parser.h"
#include "exposition/series_text.h"
#include "model/float_histogram_ops.h"
#include "util/strings.h"

namespace narthex::exposition {
namespace {

constexpr char kSeparator = '\xff';

bool IsNative(const proto::Metric& metric) {
  return !metric.positive_spans.empty() || !metric.negative_spans.empty() ||
         metric.zero_threshold > 0 || metric.zero_count > 0;
}

bool IsFloat(const proto::Metric& metric) {
  return metric.sample_count_float > 0 || metric.zero_count_float > 0 ||
         !metric.positive_counts.empty() || !metric.negative_counts.empty();
}

Status CheckSide(std::string_view side, const std::vector<Span>& spans, size_t bucket_count) {
  uint64_t wanted = 0;
  for (const Span& span : spans) wanted += span.length;
  if (wanted == bucket_count) return {};
  return MakeError(ErrorCode::kInvalidInput, "{} side: spans require {} buckets, have {}", side,
                   wanted, bucket_count);
}

class ProtobufParser final : public Parser {
 public:
  ProtobufParser(std::string_view body, const ParserOptions& options)
      : rest_(body), options_(options) {}

  Entry Next() override {
    exemplar_given_ = false;
    switch (stage_) {
      case Stage::kFamily: return NextFamily();
      case Stage::kHelpGiven:
        if (!proto_family_.unit.empty()) {
          stage_ = Stage::kUnitGiven;
          text_ = proto_family_.unit;
          return Entry::kUnit;
        }
        [[fallthrough]];
      case Stage::kUnitGiven:
        stage_ = Stage::kSamples;
        text_ = MetricTypeName(type_);
        return Entry::kType;
      case Stage::kSamples: return NextSample();
    }
    return Entry::kEnd;
  }

  // Only new series are asked for theirs.
  Labels SeriesLabels() override { return Labels::FromSorted(pairs_); }

  bool NextExemplar(Exemplar* exemplar) override {
    if (steps_[step_].kind != StepKind::kHistogram) {
      if (exemplar_given_) return false;
      exemplar_given_ = true;
      const std::optional<proto::Exemplar>* found = nullptr;
      if (steps_[step_].kind == StepKind::kValue) found = &metric_.exemplar;
      if (steps_[step_].kind == StepKind::kBucket && steps_[step_].index < metric_.buckets.size()) {
        found = &metric_.buckets[steps_[step_].index].exemplar;
      }
      if (found == nullptr || !found->has_value()) return false;
      Fill(**found, exemplar);
      return true;
    }
    // Exemplars of native histograms need a timestamp. The histogram's own come first; only when
    // it has none do those of its classic buckets count.
    if (!metric_.exemplars.empty()) {
      while (next_exemplar_ < metric_.exemplars.size()) {
        const proto::Exemplar& candidate = metric_.exemplars[next_exemplar_++];
        if (!candidate.timestamp_ms) continue;
        Fill(candidate, exemplar);
        return true;
      }
      return false;
    }
    while (next_exemplar_ < metric_.buckets.size()) {
      const std::optional<proto::Exemplar>& candidate = metric_.buckets[next_exemplar_++].exemplar;
      if (!candidate || !candidate->timestamp_ms) continue;
      Fill(*candidate, exemplar);
      return true;
    }
    return false;
  }

  int64_t StartTimestampMs() override {
    const bool has_start = proto_family_.type != proto::MetricType::kGauge &&
                           proto_family_.type != proto::MetricType::kUntyped;
    return has_start ? metric_.start_ms.value_or(0) : 0;
  }

 private:
  enum class Stage : uint8_t { kFamily, kHelpGiven, kUnitGiven, kSamples };
  enum class StepKind : uint8_t { kValue, kCount, kSum, kQuantile, kBucket, kHistogram };
  struct Step {
    StepKind kind = StepKind::kValue;
    size_t index = 0;
  };

  bool is_histogram_family() const {
    return proto_family_.type == proto::MetricType::kHistogram ||
           proto_family_.type == proto::MetricType::kGaugeHistogram;
  }

  Entry NextFamily() {
    do {
      if (rest_.empty()) return Entry::kEnd;
      if (Status status = proto::TakeFamily(&rest_, &proto_family_); !status.ok()) {
        return Fail(std::move(status));
      }
    } while (proto_family_.encoded_metrics.empty());
    next_metric_ = 0;
    if (Status status = DecodeNextMetric(); !status.ok()) return Fail(std::move(status));
    if (Status status = CheckFamily(); !status.ok()) return Fail(std::move(status));
    family_ = proto_family_.name;
    text_ = proto_family_.help;
    steps_.clear();
    step_ = 0;
    stage_ = Stage::kHelpGiven;
    return Entry::kHelp;
  }

  Status CheckFamily() {
    const std::string_view name = proto_family_.name;
    if (name.empty() || !IsValidUtf8(name)) {
      return MakeError(ErrorCode::kInvalidInput, "invalid metric name: {}", name);
    }
    if (!IsValidUtf8(proto_family_.help)) {
      return MakeError(ErrorCode::kInvalidInput, "invalid help for metric {}: {}", GoQuote(name),
                       proto_family_.help);
    }
    switch (proto_family_.type) {
      case proto::MetricType::kCounter: type_ = MetricType::kCounter; return {};
      case proto::MetricType::kGauge: type_ = MetricType::kGauge; return {};
      case proto::MetricType::kSummary: type_ = MetricType::kSummary; return {};
      case proto::MetricType::kUntyped: type_ = MetricType::kUnknown; return {};
      case proto::MetricType::kHistogram: type_ = MetricType::kHistogram; return {};
      case proto::MetricType::kGaugeHistogram: type_ = MetricType::kGaugeHistogram; return {};
    }
    return MakeError(ErrorCode::kInvalidInput, "unknown metric type for metric {}: {}",
                     GoQuote(name), static_cast<int32_t>(proto_family_.type));
  }

  Status DecodeNextMetric() {
    return proto::DecodeMetric(proto_family_.encoded_metrics[next_metric_++], proto_family_.type,
                               &metric_);
  }

  Entry NextSample() {
    if (steps_.empty()) {
      // The first metric was decoded with the family.
      if (Status status = LayOutMetric(); !status.ok()) return Fail(std::move(status));
    } else if (++step_ == steps_.size()) {
      if (next_metric_ == proto_family_.encoded_metrics.size()) {
        stage_ = Stage::kFamily;
        return NextFamily();
      }
      if (Status status = DecodeNextMetric(); !status.ok()) return Fail(std::move(status));
      if (Status status = LayOutMetric(); !status.ok()) return Fail(std::move(status));
    }
    return GiveStep();
  }

  void AddClassicSteps() {
    steps_.push_back({StepKind::kCount, 0});
    steps_.push_back({StepKind::kSum, 0});
    const bool has_infinity = !metric_.buckets.empty() &&
                              std::isinf(metric_.buckets.back().upper_bound) &&
                              metric_.buckets.back().upper_bound > 0;
    // Buckets end at the first +Inf; without one it is added.
    for (size_t i = 0; i < metric_.buckets.size(); ++i) {
      steps_.push_back({StepKind::kBucket, i});
      if (metric_.buckets[i].upper_bound == std::numeric_limits<double>::infinity()) return;
    }
    if (!has_infinity) steps_.push_back({StepKind::kBucket, metric_.buckets.size()});
  }

  Status LayOutMetric() {
    steps_.clear();
    step_ = 0;
    next_exemplar_ = 0;
    built_native_ = false;
    has_timestamp_ = metric_.timestamp_ms != 0;
    timestamp_ms_ = metric_.timestamp_ms;
    if (proto_family_.type == proto::MetricType::kSummary) {
      steps_.push_back({StepKind::kCount, 0});
      steps_.push_back({StepKind::kSum, 0});
      for (size_t i = 0; i < metric_.quantiles.size(); ++i) {
        steps_.push_back({StepKind::kQuantile, i});
      }
      return {};
    }
    if (!is_histogram_family()) {
      steps_.push_back({StepKind::kValue, 0});
      return {};
    }
    if (!options_.ignore_native_histograms && IsNative(metric_)) {
      if (Status status = BuildNative(); !status.ok()) {
        return status.WithPrefix("histogram " + GoQuote(proto_family_.name) + ": ");
      }
      steps_.push_back({StepKind::kHistogram, 0});
      if (options_.keep_classic && !metric_.buckets.empty()) AddClassicSteps();
      return {};
    }
    if (!options_.convert_classic_to_custom || options_.keep_classic) AddClassicSteps();
    if (options_.convert_classic_to_custom) steps_.push_back({StepKind::kHistogram, 0});
    return {};
  }

  Status BuildNative() {
    const bool is_float = IsFloat(metric_);
    NARTHEX_RETURN_IF_ERROR(
        CheckSide("positive", metric_.positive_spans,
                  is_float ? metric_.positive_counts.size() : metric_.positive_deltas.size()));
    NARTHEX_RETURN_IF_ERROR(
        CheckSide("negative", metric_.negative_spans,
                  is_float ? metric_.negative_counts.size() : metric_.negative_deltas.size()));
    // The vectors change places: what the last histogram used serves the next metric.
    if (is_float) {
      native_.integer.reset();
      if (!native_.floating) native_.floating.emplace();
      FloatHistogram& h = *native_.floating;
      FillNative(&h);
      h.count = metric_.sample_count_float;
      h.zero_count = metric_.zero_count_float;
      std::swap(h.positive_buckets, metric_.positive_counts);
      std::swap(h.negative_buckets, metric_.negative_counts);
      CompactHistogram(&h, 0);
    } else {
      native_.floating.reset();
      if (!native_.integer) native_.integer.emplace();
      Histogram& h = *native_.integer;
      FillNative(&h);
      h.count = metric_.sample_count;
      h.zero_count = metric_.zero_count;
      std::swap(h.positive_buckets, metric_.positive_deltas);
      std::swap(h.negative_buckets, metric_.negative_deltas);
      CompactHistogram(&h, 0);
    }
    built_native_ = true;
    return {};
  }

  template <typename H>
  void FillNative(H* h) {
    h->schema = metric_.schema;
    h->sum = metric_.sample_sum;
    h->zero_threshold = metric_.zero_threshold;
    std::swap(h->positive_spans, metric_.positive_spans);
    std::swap(h->negative_spans, metric_.negative_spans);
    h->custom_values.clear();
    h->counter_reset_hint = proto_family_.type == proto::MetricType::kGaugeHistogram
                                ? CounterResetHint::kGauge
                                : CounterResetHint::kUnknown;
  }

  Status BuildConverted() {
    ClassicHistogram parts;
    NARTHEX_RETURN_IF_ERROR(parts.SetCount(metric_.count()));
    NARTHEX_RETURN_IF_ERROR(parts.SetSum(metric_.sample_sum));
    for (const proto::Bucket& bucket : metric_.buckets) {
      NARTHEX_RETURN_IF_ERROR(parts.SetBucket(bucket.upper_bound, bucket.count()));
    }
    NARTHEX_TRY(native_, parts.Convert());
    if (proto_family_.type == proto::MetricType::kGaugeHistogram) {
      if (native_.integer) native_.integer->counter_reset_hint = CounterResetHint::kGauge;
      if (native_.floating) native_.floating->counter_reset_hint = CounterResetHint::kGauge;
    }
    return {};
  }

  Entry GiveStep() {
    const Step& step = steps_[step_];
    std::string_view suffix;
    std::string_view bound_label;
    std::string bound;
    switch (step.kind) {
      case StepKind::kValue: value_ = metric_.value; break;
      case StepKind::kCount:
        suffix = "_count";
        value_ =
            is_histogram_family() ? metric_.count() : static_cast<double>(metric_.sample_count);
        break;
      case StepKind::kSum:
        suffix = "_sum";
        value_ = metric_.sample_sum;
        break;
      case StepKind::kQuantile:
        bound_label = kQuantileLabel;
        bound = FormatOpenMetricsFloat(metric_.quantiles[step.index].quantile);
        value_ = metric_.quantiles[step.index].value;
        break;
      case StepKind::kBucket: {
        suffix = "_bucket";
        bound_label = kBucketLabel;
        const bool added = step.index >= metric_.buckets.size();
        bound = added ? "+Inf" : FormatOpenMetricsFloat(metric_.buckets[step.index].upper_bound);
        value_ = added ? metric_.count() : metric_.buckets[step.index].count();
        break;
      }
      case StepKind::kHistogram:
        if (!built_native_) {
          if (Status status = BuildConverted(); !status.ok()) return Fail(std::move(status));
        }
        histogram_ = native_.integer ? &*native_.integer : nullptr;
        float_histogram_ = native_.floating ? &*native_.floating : nullptr;
        break;
    }
    if (Status status = BuildLabels(suffix, bound_label, bound); !status.ok()) {
      return Fail(std::move(status));
    }
    return step.kind == StepKind::kHistogram ? Entry::kHistogram : Entry::kSeries;
  }

  Status BuildLabels(std::string_view suffix, std::string_view bound_label,
                     std::string_view bound) {
    name_.assign(proto_family_.name).append(suffix);
    const bool with_type = options_.type_and_unit_labels && type_ != MetricType::kUnknown;
    const bool with_unit = options_.type_and_unit_labels && !proto_family_.unit.empty();
    pairs_.clear();
    pairs_.push_back({kMetricNameLabel, name_});
    if (with_type) pairs_.push_back({kTypeLabel, MetricTypeName(type_)});
    if (with_unit) pairs_.push_back({kUnitLabel, proto_family_.unit});
    for (const std::string_view encoded : metric_.encoded_labels) {
      proto::LabelPair label;
      NARTHEX_RETURN_IF_ERROR(proto::DecodeLabel(encoded, &label));
      if ((options_.type_and_unit_labels && label.name == kMetricNameLabel) ||
          (with_type && label.name == kTypeLabel) || (with_unit && label.name == kUnitLabel)) {
        continue;
      }
      pairs_.push_back({label.name, label.value});
    }
    if (!bound_label.empty()) {
      bound_.assign(bound);
      pairs_.push_back({bound_label, bound_});
    }
    const auto by_name = [](const LabelView& a, const LabelView& b) { return a.name < b.name; };
    if (!std::is_sorted(pairs_.begin(), pairs_.end(), by_name)) {
      std::stable_sort(pairs_.begin(), pairs_.end(), by_name);
    }
    series_text_.clear();
    // With empty values, which tell series apart for the cache's purposes.
    for (const LabelView& pair : pairs_) {
      if (pair.name == kMetricNameLabel) {
        series_text_ += pair.value;
        continue;
      }
      series_text_ += kSeparator;
      series_text_ += pair.name;
      series_text_ += kSeparator;
      series_text_ += pair.value;
    }
    series_ = series_text_;
    return {};
  }

  void Fill(const proto::Exemplar& from, Exemplar* exemplar) {
    exemplar->value = from.value;
    exemplar->has_timestamp = from.timestamp_ms.has_value();
    exemplar->timestamp_ms = from.timestamp_ms.value_or(0);
    std::vector<LabelView> pairs;
    for (const proto::LabelPair& label : from.labels) pairs.push_back({label.name, label.value});
    exemplar->labels = SortedLabels(&pairs);
  }

  std::string_view rest_;
  ParserOptions options_;
  Stage stage_ = Stage::kFamily;
  proto::Family proto_family_;
  size_t next_metric_ = 0;
  proto::Metric metric_;
  std::vector<Step> steps_;
  size_t step_ = 0;
  AnyHistogram native_;
  size_t next_exemplar_ = 0;
  bool exemplar_given_ = false;
  bool built_native_ = false;
  // Of the series: sorted, with the texts that are not the page's own.
  std::vector<LabelView> pairs_;
  std::string name_;
  std::string bound_;
  std::string series_text_;
};

}  // namespace

std::unique_ptr<Parser> CreateProtobufParser(std::string_view body, const ParserOptions& options) {
  return std::make_unique<ProtobufParser>(body, options);
}

}  // namespace narthex::exposition
