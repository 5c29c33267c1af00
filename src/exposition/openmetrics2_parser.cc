// OpenMetrics text 2.0 (experimental upstream, behind the feature openmetrics2).
//
// A histogram or summary is one line with a composite value. What it stands for (a native
// histogram, a converted one, classic series) is laid out as a list of series that Next() gives one
// by one. Upstream's checks are wider than those of 1.0 and kept word for word.
#include <cmath>
#include <limits>

#include "exposition/openmetrics2_composite.h"
#include "exposition/openmetrics2_lexer.h"
#include "exposition/parser.h"
#include "exposition/scan.h"
#include "model/float_histogram_ops.h"
#include "util/hash.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exposition {
namespace {

constexpr char kSeparator = '\xff';
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Status Invalid(std::string text) {
  return {ErrorCode::kInvalidInput, std::move(text)};
}
Status NoEofError() {
  return Invalid("data does not end with # EOF");
}

constexpr uint32_t Bit(CompositeField field) {
  return 1u << static_cast<unsigned>(field);
}
constexpr uint32_t kBucketFields =
    Bit(CompositeField::kSchema) | Bit(CompositeField::kZeroThreshold) |
    Bit(CompositeField::kZeroCount) | Bit(CompositeField::kNegativeSpans) |
    Bit(CompositeField::kNegativeBuckets) | Bit(CompositeField::kPositiveSpans) |
    Bit(CompositeField::kPositiveBuckets) | Bit(CompositeField::kBucket);
constexpr uint32_t kHistogramFields =
    kBucketFields | Bit(CompositeField::kCount) | Bit(CompositeField::kSum);
constexpr uint32_t kGaugeHistogramFields =
    kBucketFields | Bit(CompositeField::kGaugeCount) | Bit(CompositeField::kGaugeSum);
constexpr uint32_t kSummaryFields =
    Bit(CompositeField::kCount) | Bit(CompositeField::kSum) | Bit(CompositeField::kQuantile);

class OpenMetrics2Parser final : public Parser {
 public:
  OpenMetrics2Parser(std::string_view body, const ParserOptions& options)
      : options_(options), lexer_(body) {}

  Entry Next() override {
    next_exemplar_ = 0;
    if (given_flat_ < flat_.size()) {
      const FlatSeries& flat = flat_[given_flat_++];
      series_ = flat.text;
      value_ = flat.value;
      return Entry::kSeries;
    }
    flat_.clear();
    given_flat_ = 0;
    exemplars_.clear();
    exemplar_labels_.clear();
    has_timestamp_ = false;
    start_ms_ = 0;
    parts_.Clear();
    line_ = lexer_.at();
    const Token token = lexer_.Next();
    switch (token) {
      case Token::kEofWord:
        if (lexer_.Next() != Token::kEof) return Fail(Invalid("unexpected data after # EOF"));
        return Entry::kEnd;
      case Token::kEof: return Fail(NoEofError());
      case Token::kHelp:
      case Token::kType:
      case Token::kUnit: return Finish(Metadata(token));
      case Token::kBraceOpen: return Finish(SeriesLine(Token::kBraceOpen));
      case Token::kMetricName:
        parts_.has_name = true;
        parts_.name = {line_, lexer_.at()};
        series_ = LineText();
        EnterFamily(series_);
        return Finish(SeriesLine(lexer_.Next()));
      default: return Fail(Unexpected("expected a valid start token", token));
    }
  }

  Labels SeriesLabels() override {
    const MetadataLabels metadata{options_.type_and_unit_labels, type_, unit_};
    if (given_flat_ == 0) return BuildSeriesLabels(lexer_.body(), parts_, type_, metadata);
    // The labels of the line, under another name, with the bound.
    const FlatSeries& flat = flat_[given_flat_ - 1];
    const Labels base = BuildSeriesLabels(lexer_.body(), parts_, MetricType::kUnknown, metadata);
    std::string scratch;
    const std::string raw_name = std::string(NameText()) + std::string(flat.suffix);
    const std::string name(Unescape(raw_name, &scratch));
    std::vector<LabelView> pairs;
    bool named = false;
    for (const LabelView& pair : base) {
      const bool is_name = pair.name == kMetricNameLabel && !named;
      pairs.push_back(is_name ? LabelView{kMetricNameLabel, name} : pair);
      named = named || is_name;
    }
    std::string bound;
    if (!flat.bound_label.empty()) {
      bound = FormatOpenMetricsFloat(flat.bound);
      pairs.push_back({flat.bound_label, bound});
    }
    return SortedLabels(&pairs);
  }

  bool NextExemplar(Exemplar* out) override {
    while (next_exemplar_ < exemplars_.size()) {
      const LineExemplar& candidate = exemplars_[next_exemplar_++];
      if (given_flat_ > 0 && !BelongsToBucket(candidate.value)) continue;
      out->value = candidate.value;
      out->has_timestamp = true;
      out->timestamp_ms = candidate.timestamp_ms;
      std::vector<std::string> owned;
      owned.reserve(2 * (candidate.labels_end - candidate.labels_begin));
      std::vector<LabelView> pairs;
      const auto text = [&](const Slice& s) {
        return Unescape(lexer_.body().substr(s.begin, s.end - s.begin), &owned.emplace_back());
      };
      for (size_t i = candidate.labels_begin; i + 1 < candidate.labels_end; i += 2) {
        const std::string_view name = text(exemplar_labels_[i]);
        pairs.push_back({name, text(exemplar_labels_[i + 1])});
      }
      out->labels = SortedLabels(&pairs);
      return true;
    }
    return false;
  }

  int64_t StartTimestampMs() override { return start_ms_; }

  // Plain lines of the family at hand: a value, perhaps a start timestamp. Types with rules for
  // values, timestamps and exemplars are read in full.
  bool TakeKnownSeries(size_t length, uint64_t hash) override {
    if (given_flat_ < flat_.size() || !lexer_.between_lines()) return false;
    if (type_ != MetricType::kGauge && type_ != MetricType::kCounter) return false;
    const std::string_view body = lexer_.body();
    const std::string_view rest = body.substr(lexer_.at());
    const std::string_view family = current_family_;
    if (length + 2 >= rest.size() || rest[length] != ' ' || length < family.size() ||
        !rest.starts_with(family) || (length > family.size() && rest[family.size()] != '{')) {
      return false;
    }
    if (FastHash64(rest.substr(0, length)) != hash) return false;
    const char* begin = rest.data() + length + 1;
    const char* end = body.data() + body.size();
    double value = 0;
    const char* stop = ScanPlainNumber(begin, end, &value);
    if (stop == nullptr || stop >= end || (*stop != '\n' && *stop != ' ')) {
      stop = begin;
      while (stop < end && *stop != ' ' && *stop != '\n' && *stop != '\0') ++stop;
      if (stop == begin || stop >= end) return false;
      const Result<double> parsed =
          ParseSampleValue(std::string_view(begin, static_cast<size_t>(stop - begin)));
      if (!parsed.ok() || std::isnan(*parsed)) return false;
      value = *parsed;
    }
    double start_seconds = 0;
    constexpr std::string_view kStart = " st@";
    if (std::string_view(stop, static_cast<size_t>(end - stop)).starts_with(kStart)) {
      stop = ScanPlainNumber(stop + kStart.size(), end, &start_seconds);
    }
    if (stop == nullptr || stop >= end || *stop != '\n') return false;
    flat_.clear();
    given_flat_ = 0;
    exemplars_.clear();
    exemplar_labels_.clear();
    next_exemplar_ = 0;
    start_ms_ = SecondsToMillis(start_seconds);
    series_ = rest.substr(0, length);
    value_ = value;
    has_timestamp_ = false;
    lexer_.MoveTo(static_cast<size_t>(stop + 1 - body.data()));
    return true;
  }

 private:
  // A series that a composite value stands for.
  struct FlatSeries {
    std::string_view suffix;
    std::string_view bound_label;  // "le", "quantile", or none.
    double bound = 0;
    double value = 0;
    std::string text;
  };
  struct LineExemplar {
    size_t labels_begin = 0;
    size_t labels_end = 0;
    double value = 0;
    int64_t timestamp_ms = 0;
  };

  Entry Finish(Result<Entry> entry) {
    return entry.ok() ? *entry : Fail(std::move(entry).status());
  }

  std::string_view LineText() const { return lexer_.body().substr(line_, lexer_.at() - line_); }
  std::string LineSoFar() const { return GoQuote(LineText()); }
  std::string_view NameText() const {
    return lexer_.body().substr(parts_.name.begin, parts_.name.end - parts_.name.begin);
  }

  Status Unexpected(std::string_view expectation, Token got) const {
    const std::string_view body = lexer_.body();
    const size_t end = std::min(body.size(), lexer_.at() + 1);
    const std::string_view text = body.substr(lexer_.start(), end - lexer_.start());
    if (got == Token::kInvalid && text.find('\r') != std::string_view::npos) {
      expectation = "unexpected carriage return";
    }
    return MakeError(ErrorCode::kInvalidInput, "{}, got {} ({}) while parsing: {}", expectation,
                     GoQuote(text), GoQuote(TokenName(got)),
                     GoQuote(body.substr(line_, end - line_)));
  }

  // Type and unit hold for lines of the family alone.
  void EnterFamily(std::string_view name) {
    if (name == current_family_) return;
    type_ = MetricType::kUnknown;
    unit_.clear();
    current_family_ = name;
  }

  bool has_no_unit() const { return type_ == MetricType::kInfo || type_ == MetricType::kStateset; }
  Status CheckUnit() const {
    if (!has_no_unit() || unit_.empty()) return {};
    return Invalid(std::string(MetricTypeName(type_)) + " metric " + GoQuote(current_family_) +
                   " must have an empty unit, got " + GoQuote(unit_));
  }

  static Status CheckName(std::string_view name, std::string_view what) {
    if (name.empty()) return Invalid(std::string(what) + " name must not be empty");
    if (!IsValidUtf8(name)) {
      return Invalid("invalid UTF-8 " + std::string(what) + " name: " + GoQuote(name));
    }
    return {};
  }

  Result<Entry> Metadata(Token kind) {
    if (const Token token = lexer_.Next(); token != Token::kMetricName) {
      return Unexpected("expected metric name after " + std::string(TokenName(kind)), token);
    }
    family_ = lexer_.token_text();
    if (family_.size() >= 2 && family_.front() == '"' && family_.back() == '"') {
      family_ = family_.substr(1, family_.size() - 2);
      NARTHEX_RETURN_IF_ERROR(CheckName(family_, "metric"));
    }
    EnterFamily(family_);
    if (lexer_.Next() != Token::kText) {
      return Invalid("expected text in " + std::string(TokenName(kind)));
    }
    const std::string_view token_text = lexer_.token_text();
    const std::string_view text = token_text.substr(1, token_text.size() - 2);
    if (text.ends_with('\r')) {
      return Invalid("unexpected carriage return in " + std::string(TokenName(kind)) + ": " +
                     GoQuote(text));
    }
    switch (kind) {
      case Token::kType: {
        bool known = false;
        const MetricType type = MetricTypeFromName(text, &known);
        if (!known) return Invalid("invalid metric type " + GoQuote(text));
        if (type == MetricType::kInfo && !current_family_.ends_with("_info")) {
          return Invalid("info metric family name " + GoQuote(current_family_) +
                         " must end with _info");
        }
        type_ = type;
        NARTHEX_RETURN_IF_ERROR(CheckUnit());
        return Entry::kType;
      }
      case Token::kHelp:
        if (!IsValidUtf8(text)) {
          return Invalid("help text " + GoQuote(text) + " is not a valid utf8 string");
        }
        text_ = Unescape(text, &scratch_);
        return Entry::kHelp;
      default:
        unit_ = text;
        text_ = unit_;
        NARTHEX_RETURN_IF_ERROR(CheckUnit());
        return Entry::kUnit;
    }
  }

  Result<Entry> SeriesLine(Token token) {
    if (token == Token::kBraceOpen) {
      const bool named = parts_.has_name;
      NARTHEX_RETURN_IF_ERROR(LabelPairs(&parts_.labels, /*exemplar=*/false));
      if (!named && parts_.has_name) EnterFamily(NameText());
      series_ = LineText();
      token = lexer_.Next();
    }
    if (!parts_.has_name) return Invalid("metric name not set while parsing: " + LineSoFar());
    if (token == Token::kCompositeOpen) return Composite();
    if (token != Token::kValue) return Unexpected("expected value after metric", token);
    const Result<double> value = ParseSampleValue(lexer_.token_text().substr(1));
    if (!value.ok()) {
      return Invalid(value.status().message() + " while parsing: " + LineSoFar());
    }
    value_ = *value;
    NARTHEX_RETURN_IF_ERROR(CheckPlainValue());
    NARTHEX_RETURN_IF_ERROR(AfterValue());
    return Entry::kSeries;
  }

  Status CheckPlainValue() const {
    const auto where = [&] { return " while parsing: " + LineSoFar(); };
    switch (type_) {
      case MetricType::kCounter:
        if (!std::isnan(value_)) return {};
        return Invalid("counter sample value must not be NaN" + where());
      case MetricType::kHistogram:
      case MetricType::kGaugeHistogram:
      case MetricType::kSummary:
        return Invalid("composite value required for metric type " +
                       GoQuote(MetricTypeName(type_)) + where());
      case MetricType::kInfo:
        if (value_ == 1) return {};
        return Invalid("info sample value must be 1, got " + FormatFloatG(value_) + where());
      case MetricType::kStateset: {
        if (value_ != 0 && value_ != 1) {
          return Invalid("stateset sample value must be 0 or 1, got " + FormatFloatG(value_) +
                         where());
        }
        for (size_t i = 0; i + 1 < parts_.labels.size(); i += 2) {
          const Slice& label = parts_.labels[i];
          if (lexer_.body().substr(label.begin, label.end - label.begin) == current_family_) {
            return {};
          }
        }
        return Invalid("stateset sample must have a label matching the metric family name " +
                       GoQuote(current_family_) + where());
      }
      default: return {};
    }
  }

  Status LabelPairs(std::vector<Slice>* labels, bool exemplar) {
    Token token = lexer_.Next();
    for (bool first = true;; first = false) {
      Slice name{lexer_.start(), lexer_.at()};
      if (token == Token::kBraceClose) return {};
      if (token != Token::kLabelName && token != Token::kQuoted) {
        return Unexpected("expected label name", token);
      }
      const bool quoted = token == Token::kQuoted;
      token = lexer_.Next();
      if (quoted) {
        name = {name.begin + 1, name.end - 1};
        const std::string_view text = lexer_.body().substr(name.begin, name.end - name.begin);
        if (token == Token::kComma || token == Token::kBraceClose) {
          if (exemplar) return Unexpected("expected label name", token);
          if (!first) return Invalid("metric name must be the first item in the label set");
          if (parts_.has_name) {
            return Invalid("metric name already set while parsing: " + LineSoFar());
          }
          NARTHEX_RETURN_IF_ERROR(CheckName(text, "metric"));
          parts_.has_name = true;
          parts_.name = name;
          if (token == Token::kBraceClose) return {};
          token = lexer_.Next();
          continue;
        }
        NARTHEX_RETURN_IF_ERROR(CheckName(text, "label"));
      }
      if (token != Token::kEqual) return Unexpected("expected equal", token);
      token = lexer_.Next();
      if (token != Token::kLabelValue) return Unexpected("expected label value", token);
      if (!IsValidUtf8(lexer_.token_text())) {
        return Invalid("invalid UTF-8 label value: " + GoQuote(lexer_.token_text()));
      }
      labels->push_back(name);
      labels->push_back({lexer_.start() + 1, lexer_.at() - 1});
      token = lexer_.Next();
      if (token == Token::kComma) {
        token = lexer_.Next();
      } else if (token != Token::kBraceClose) {
        return Unexpected("expected comma or brace close", token);
      }
    }
  }

  // A number of seconds; `what` names it where it cannot be one, `where` where it is malformed.
  Result<int64_t> Seconds(std::string_view text, std::string_view what, std::string_view where) {
    const Result<double> seconds = ParseSampleValue(text);
    if (!seconds.ok()) {
      return Invalid(seconds.status().message() + " while parsing" + std::string(where) + ": " +
                     LineSoFar());
    }
    if (!std::isfinite(*seconds)) {
      return Invalid("invalid " + std::string(what) + " " + FormatFloatFPrecision(*seconds, 6));
    }
    return SecondsToMillis(*seconds);
  }

  // Timestamp, start timestamp and exemplars up to the end of the line.
  Status AfterValue() {
    bool has_start = false;
    for (;;) {
      const Token token = lexer_.Next();
      switch (token) {
        case Token::kEof: return NoEofError();
        case Token::kLinebreak: return {};
        case Token::kTimestamp: {
          if (has_timestamp_) return Invalid("duplicate timestamp: " + LineSoFar());
          if (has_start) {
            return Invalid("timestamp must precede start timestamp: " + LineSoFar());
          }
          NARTHEX_TRY(timestamp_ms_, Seconds(lexer_.token_text().substr(1), "timestamp", ""));
          has_timestamp_ = true;
          break;
        }
        case Token::kStartTimestamp: {
          if (has_start) return Invalid("duplicate start timestamp: " + LineSoFar());
          constexpr size_t kPrefix = 4;  // " st@"
          NARTHEX_TRY(start_ms_, Seconds(lexer_.token_text().substr(kPrefix), "start timestamp",
                                         " start timestamp"));
          has_start = true;
          break;
        }
        case Token::kComment: return Exemplars();
        default: return Unexpected("unexpected token after value", token);
      }
    }
  }

  Status Exemplars() {
    for (;;) {
      LineExemplar exemplar;
      exemplar.labels_begin = exemplar_labels_.size();
      NARTHEX_RETURN_IF_ERROR(LabelPairs(&exemplar_labels_, /*exemplar=*/true));
      exemplar.labels_end = exemplar_labels_.size();
      Token token = lexer_.Next();
      if (token != Token::kValue) return Unexpected("expected exemplar value", token);
      const Result<double> value = ParseSampleValue(lexer_.token_text().substr(1));
      if (!value.ok()) {
        return Invalid(value.status().message() + " while parsing exemplar value: " + LineSoFar());
      }
      exemplar.value = *value;
      token = lexer_.Next();
      if (token == Token::kEof) return NoEofError();
      if (token != Token::kTimestamp) return Unexpected("expected exemplar timestamp", token);
      NARTHEX_TRY(exemplar.timestamp_ms, Seconds(lexer_.token_text().substr(1),
                                                 "exemplar timestamp", " exemplar timestamp"));
      exemplars_.push_back(exemplar);
      token = lexer_.Next();
      if (token == Token::kEof) return NoEofError();
      if (token == Token::kLinebreak) return {};
      if (token != Token::kComment) {
        return Unexpected("expected end of line or next exemplar", token);
      }
    }
  }

  // -------------------------------------------------------------------------------------------
  // Composite values
  // -------------------------------------------------------------------------------------------

  Result<CompositeFields> ReadFields(uint32_t allowed) {
    CompositeFields fields;
    Token token = lexer_.Next();
    if (token == Token::kCompositeClose) return fields;
    for (;;) {
      const int index = static_cast<int>(token) - static_cast<int>(Token::kFieldCount);
      if (index < 0 || index >= static_cast<int>(kCompositeFieldCount) ||
          (allowed & (1u << index)) == 0) {
        return Unexpected("unknown composite field", token);
      }
      const auto field = static_cast<CompositeField>(index);
      if (fields.has(field)) return Unexpected("duplicate composite field", token);
      if (const Token value = lexer_.Next(); value != Token::kValue) {
        return Unexpected("expected composite value", value);
      }
      fields[field] = lexer_.token_text();
      token = lexer_.Next();
      if (token == Token::kCompositeClose) return fields;
      if (token != Token::kComma) {
        return Unexpected("expected comma or brace close in composite value", token);
      }
      token = lexer_.Next();
    }
  }

  static Status Require(const CompositeFields& fields, CompositeField field,
                        std::string_view name) {
    if (fields.has(field)) return {};
    return Invalid("missing required field: " + std::string(name));
  }

  Result<Entry> Composite() {
    switch (type_) {
      case MetricType::kHistogram:
      case MetricType::kGaugeHistogram: return HistogramValue();
      case MetricType::kSummary: return SummaryValue();
      default:
        return Invalid("composite value not supported for metric type " +
                       GoQuote(MetricTypeName(type_)) + " while parsing: " + LineSoFar());
    }
  }

  Result<Entry> HistogramValue() {
    const bool gauge = type_ == MetricType::kGaugeHistogram;
    const CountAndSum names(gauge);
    NARTHEX_TRY(const CompositeFields fields,
                ReadFields(gauge ? kGaugeHistogramFields : kHistogramFields));
    NARTHEX_RETURN_IF_ERROR(Require(fields, names.count, names.count_name));
    NARTHEX_RETURN_IF_ERROR(Require(fields, names.sum, names.sum_name));
    const bool native = fields.has(CompositeField::kSchema);
    if (native) {
      NARTHEX_RETURN_IF_ERROR(Require(fields, CompositeField::kZeroThreshold, "zero_threshold"));
      NARTHEX_RETURN_IF_ERROR(Require(fields, CompositeField::kZeroCount, "zero_count"));
    } else {
      NARTHEX_RETURN_IF_ERROR(Require(fields, CompositeField::kBucket, "bucket"));
    }
    NARTHEX_RETURN_IF_ERROR(AfterValue());

    constexpr std::string_view kClassicError = "error parsing classic histogram composite: ";
    if (native && !options_.ignore_native_histograms) {
      Result<AnyHistogram> built = BuildNativeHistogram(fields, gauge);
      if (!built.ok()) {
        return built.status().WithPrefix("error parsing native histogram composite: ");
      }
      Give(*std::move(built));
      if (options_.keep_classic && fields.has(CompositeField::kBucket)) {
        NARTHEX_RETURN_IF_ERROR(AddClassic(fields, gauge, false).WithPrefix(kClassicError));
      }
      return Entry::kHistogram;
    }
    if (options_.convert_classic_to_custom) {
      Result<AnyHistogram> built = BuildCustomHistogram(fields, gauge);
      if (!built.ok()) return built.status().WithPrefix(kClassicError);
      Give(*std::move(built));
      if (options_.keep_classic) {
        NARTHEX_RETURN_IF_ERROR(AddClassic(fields, gauge, native).WithPrefix(kClassicError));
      }
      return Entry::kHistogram;
    }
    NARTHEX_RETURN_IF_ERROR(AddClassic(fields, gauge, native).WithPrefix(kClassicError));
    return GiveFirstFlat();
  }

  Result<Entry> SummaryValue() {
    NARTHEX_TRY(const CompositeFields fields, ReadFields(kSummaryFields));
    NARTHEX_RETURN_IF_ERROR(Require(fields, CompositeField::kCount, "count"));
    NARTHEX_RETURN_IF_ERROR(Require(fields, CompositeField::kSum, "sum"));
    NARTHEX_RETURN_IF_ERROR(Require(fields, CompositeField::kQuantile, "quantile"));
    NARTHEX_RETURN_IF_ERROR(AfterValue());
    NARTHEX_RETURN_IF_ERROR(AddSummary(fields).WithPrefix("error parsing summary composite: "));
    return GiveFirstFlat();
  }

  void Give(AnyHistogram built) {
    built_ = std::move(built);
    histogram_ = built_.integer ? &*built_.integer : nullptr;
    float_histogram_ = built_.floating ? &*built_.floating : nullptr;
  }

  Entry GiveFirstFlat() {
    given_flat_ = 1;
    series_ = flat_.front().text;
    value_ = flat_.front().value;
    return Entry::kSeries;
  }

  Status AddSummary(const CompositeFields& fields) {
    NARTHEX_TRY(const double count, CompositeNumber(fields, CompositeField::kCount, "count"));
    AddFlat("_count", {}, 0, count);
    NARTHEX_TRY(const double sum, CompositeNumber(fields, CompositeField::kSum, "sum"));
    AddFlat("_sum", {}, 0, sum);
    return ForEachQuantile(fields.text(CompositeField::kQuantile),
                           [&](double quantile, double value) -> Status {
                             AddFlat({}, kQuantileLabel, quantile, value);
                             return {};
                           });
  }

  Status AddClassic(const CompositeFields& fields, bool gauge, bool native) {
    const CountAndSum names(gauge);
    NARTHEX_TRY(const double count, CompositeNumber(fields, names.count, names.count_name));
    AddFlat(gauge ? "_gcount" : "_count", {}, 0, count);
    NARTHEX_TRY(const double sum, CompositeNumber(fields, names.sum, names.sum_name));
    AddFlat(gauge ? "_gsum" : "_sum", {}, 0, sum);
    if (!fields.has(CompositeField::kBucket)) {
      if (!native) return Invalid("missing required field: bucket");
      AddFlat("_bucket", kBucketLabel, kInfinity, count);
      return {};
    }
    bool has_infinity = false;
    NARTHEX_RETURN_IF_ERROR(ForEachBucket(
        fields.text(CompositeField::kBucket), [&](double bound, double value) -> Status {
          if (value < 0 && !gauge) {
            return Invalid("invalid bucket: value must not be negative, got " +
                           FormatFloatG(value));
          }
          has_infinity = has_infinity || bound == kInfinity;
          AddFlat("_bucket", kBucketLabel, bound, value);
          return {};
        }));
    if (!has_infinity) return Invalid("classic histogram buckets must include a +Inf threshold");
    return {};
  }

  void AddFlat(std::string_view suffix, std::string_view bound_label, double bound, double value) {
    FlatSeries flat{suffix, bound_label, bound, value, {}};
    std::string& text = flat.text;
    const auto add_label = [&](std::string_view name, std::string_view label_value) {
      text += kSeparator;
      text += name;
      text += kSeparator;
      text += label_value;
    };
    text += NameText();
    text += suffix;
    if (options_.type_and_unit_labels) {
      if (type_ != MetricType::kUnknown) add_label(kTypeLabel, MetricTypeName(type_));
      if (!unit_.empty()) add_label(kUnitLabel, unit_);
    }
    const std::string_view body = lexer_.body();
    for (size_t i = 0; i + 1 < parts_.labels.size(); i += 2) {
      const Slice& name = parts_.labels[i];
      const Slice& label_value = parts_.labels[i + 1];
      add_label(body.substr(name.begin, name.end - name.begin),
                body.substr(label_value.begin, label_value.end - label_value.begin));
    }
    if (!bound_label.empty()) add_label(bound_label, FormatOpenMetricsFloat(bound));
    flat_.push_back(std::move(flat));
  }

  // Whether an exemplar's value lies in the bucket that is being given.
  bool BelongsToBucket(double value) const {
    const FlatSeries& bucket = flat_[given_flat_ - 1];
    if (bucket.bound_label != kBucketLabel) return false;
    if (std::isnan(value)) return bucket.bound == kInfinity;
    const bool has_lower = given_flat_ >= 2 && flat_[given_flat_ - 2].bound_label == kBucketLabel;
    return value <= bucket.bound && (!has_lower || value > flat_[given_flat_ - 2].bound);
  }

  ParserOptions options_;
  OpenMetrics2Lexer lexer_;
  size_t line_ = 0;
  SeriesParts parts_;
  std::string unit_;
  std::string_view current_family_;
  std::string scratch_;
  int64_t start_ms_ = 0;
  AnyHistogram built_;
  std::vector<FlatSeries> flat_;
  size_t given_flat_ = 0;  // How many of them were given; the last is current.
  std::vector<LineExemplar> exemplars_;
  std::vector<Slice> exemplar_labels_;
  size_t next_exemplar_ = 0;
};

}  // namespace

std::unique_ptr<Parser> CreateOpenMetrics2Parser(std::string_view body,
                                                 const ParserOptions& options) {
  return std::make_unique<OpenMetrics2Parser>(body, options);
}

}  // namespace narthex::exposition
