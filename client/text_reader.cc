// A recursive-descent reader of the text format 0.0.4, one method for each part of a line.
//
// It takes what upstream's reader takes and complains where and as that one does. Two habits follow
// from that: a page must end in a line feed (else `unexpected end of input stream`), and a byte of
// 0x80 and above ends a quoted metric or label name, because upstream looks at names byte by byte.
#include "narthex/client/text_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "text_parts.h"
#include "utf8.h"

namespace narthex::client {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool IsBlank(char c) {
  return c == ' ' || c == '\t';
}

bool IsLabelStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '"';
}

enum class NameKind : unsigned char { kMetric, kLabel };

bool IsNameStart(char c, NameKind kind) {
  return IsLabelStart(c) || (kind == NameKind::kMetric && c == ':');
}

bool IsNameByte(char c, bool quoted, NameKind kind) {
  return IsNameStart(c, kind) || (c >= '0' && c <= '9') ||
         (quoted && static_cast<unsigned char>(c) < 0x80);
}

// Go's ParseFloat without hexadecimal forms and digit separators.
bool ParseValue(std::string_view text, double& value) {
  if (text.find_first_of("pP_") != std::string_view::npos) return false;
  std::string_view digits = text;
  if (!digits.empty() && (digits.front() == '+' || digits.front() == '-')) digits.remove_prefix(1);
  const bool negative = !text.empty() && text.front() == '-';
  std::string lower(digits);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower == "inf" || lower == "infinity") {
    value = negative ? -std::numeric_limits<double>::infinity()
                     : std::numeric_limits<double>::infinity();
    return true;
  }
  if (lower == "nan") {
    value = kNan;
    return digits.size() == text.size();  // Go knows no signed NaN.
  }
  if (digits.empty() || !((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '.')) return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  // Out of range is an error in Go as well; underflow is 0 there and here an error of from_chars.
  if (end != digits.data() + digits.size()) return false;
  if (error == std::errc::result_out_of_range) {
    const size_t e = lower.find("e-");
    if (e == std::string::npos) return false;
    value = 0;
  } else if (error != std::errc()) {
    return false;
  }
  if (negative) value = -value;
  return true;
}

// What a value is quoted like in Go's %q for a single byte.
std::string QuoteByte(char c) {
  std::string quoted = Quote(std::string_view(&c, 1));
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x80) {
    // Go takes the byte for a code point.
    quoted = {'"', static_cast<char>(0xC0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3F)),
              '"'};
  }
  if (c == '"') return "'\"'";
  if (c == '\'') return "'\\''";
  quoted.front() = quoted.back() = '\'';
  return quoted;
}

// A family while its samples are read.
struct Draft {
  struct Series {
    Labels labels;
    MetricValue value;  // Other than summaries and histograms.
    std::optional<int64_t> timestamp_ms;
    std::unique_ptr<SummaryValue> summary;
    std::unique_ptr<HistogramValue> histogram;
  };

  bool composite() const {
    return type == MetricType::kSummary || type == MetricType::kHistogram ||
           type == MetricType::kGaugeHistogram;
  }

  std::string name;
  std::optional<std::string> help;
  std::optional<MetricType> type;
  std::vector<Series> series;
  std::unordered_map<std::string, size_t> series_by_labels;  // Of composite families.
};

class Reader {
 public:
  Reader(std::string_view text, NameValidation validation) : text_(text), validation_(validation) {}

  Result<std::vector<MetricFamily>> Read() {
    while (Line()) {
    }
    if (failed_) {
      return Status(StatusCode::kInvalid,
                    "text format parsing error in line " + std::to_string(line_) + ": " + message_);
    }
    std::vector<MetricFamily> families;
    for (auto& [name, draft] : drafts_) {
      if (!draft.series.empty()) families.push_back(Finished(std::move(draft)));
    }
    return families;
  }

 private:
  enum class Part : unsigned char { kValue, kCount, kSum };

  bool Fail(std::string message) {
    if (!failed_) message_ = std::move(message);
    failed_ = true;
    return false;
  }
  // Moves to the next byte, which is then in c_.
  bool Next() {
    if (at_ >= text_.size()) return Fail("unexpected end of input stream");
    c_ = text_[at_++];
    return true;
  }
  bool SkipBlanks() {
    do {
      if (!Next()) return false;
    } while (IsBlank(c_));
    return true;
  }

  bool Line() {
    ++line_;
    do {
      if (at_ >= text_.size()) return false;  // The only place where a page may end.
      c_ = text_[at_++];
    } while (IsBlank(c_));
    in_braces_ = c_ == '{';
    name_in_braces_seen_ = false;
    have_series_ = false;
    labels_.clear();
    if (c_ == '#') return Comment();
    if (c_ == '\n') return true;
    if (in_braces_) {
      // Upstream still has the family of the line before while it reads the braces.
      BeginLabels();
      return LabelList() && Sample();
    }
    if (!Name(NameKind::kMetric)) return false;
    if (token_.empty()) return Fail("invalid metric name");
    if (!FindFamily()) return false;
    BeginSeries();
    if (IsBlank(c_) && !SkipBlanks()) return false;
    BeginLabels();
    return (c_ != '{' || LabelList()) && Sample();
  }

  bool Comment() {
    if (!SkipBlanks()) return false;
    if (c_ == '\n') return true;
    if (!Word()) return false;
    if (c_ == '\n') return true;
    const std::string keyword = token_;
    if (keyword != "HELP" && keyword != "TYPE") {
      while (c_ != '\n') {
        if (!Next()) return false;
      }
      return true;
    }
    if (!SkipBlanks() || !Name(NameKind::kMetric)) return false;
    if (c_ == '\n') return true;
    if (!IsBlank(c_)) return Fail("invalid metric name in comment");
    if (!FindFamily() || !SkipBlanks()) return false;
    if (c_ == '\n') return true;
    return keyword == "HELP" ? Help() : Type();
  }

  bool Help() {
    if (family_->help) return Fail("second HELP line for metric name " + Quote(family_->name));
    if (!RestOfLine(true)) return false;
    family_->help = token_;
    return true;
  }

  bool Type() {
    if (family_->type) {
      return Fail("second TYPE line for metric name " + Quote(family_->name) +
                  ", or TYPE reported after samples");
    }
    if (!RestOfLine(false)) return false;
    std::string word = token_;
    for (char& c : word) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    static const std::map<std::string_view, MetricType> types = {
        {"counter", MetricType::kCounter},
        {"gauge", MetricType::kGauge},
        {"summary", MetricType::kSummary},
        {"untyped", MetricType::kUntyped},
        {"histogram", MetricType::kHistogram},
        {"gauge_histogram", MetricType::kGaugeHistogram},
        {"gaugehistogram", MetricType::kGaugeHistogram}};
    const auto type = types.find(word);
    if (type == types.end()) return Fail("unknown metric type " + Quote(token_));
    family_->type = type->second;
    return true;
  }

  // The family that token_ names, which may be `x` for a sample `x_sum`; made when new.
  bool FindFamily() {
    part_ = Part::kValue;
    const std::string_view name = token_;
    if (!IsValidMetricName(name, validation_)) {
      return Fail("invalid metric name " + Quote(name));
    }
    if (const auto it = drafts_.find(token_); it != drafts_.end()) {
      family_ = &it->second;
      return true;
    }
    const Part part = name.size() > 6 && EndsWith(name, "_count") ? Part::kCount
                      : name.size() > 4 && EndsWith(name, "_sum") ? Part::kSum
                                                                  : Part::kValue;
    const bool bucket = name.size() > 7 && EndsWith(name, "_bucket");
    if (part != Part::kValue || bucket) {
      const auto it = drafts_.find(std::string(name.substr(0, name.rfind('_'))));
      const bool found = it != drafts_.end() && it->second.composite() &&
                         (!bucket || it->second.type != MetricType::kSummary);
      if (found) {
        family_ = &it->second;
        part_ = part;
        return true;
      }
    }
    family_ = &drafts_[token_];
    family_->name = token_;
    return true;
  }

  void BeginSeries() {
    if (!family_->type) family_->type = MetricType::kUntyped;
    have_series_ = true;
  }
  void BeginLabels() { quantile_ = bound_ = kNan; }

  bool LabelList() {
    for (;;) {
      if (!SkipBlanks()) return false;
      if (c_ == '}') {
        if (!have_series_) return Fail("invalid metric name");
        return SkipBlanks();
      }
      if (!Name(NameKind::kLabel)) return false;
      if (token_.empty()) return Fail("invalid label name for metric " + Quote(FamilyName()));
      if (IsBlank(c_) && !SkipBlanks()) return false;
      if (c_ != '=') {
        bool closed = false;
        if (!NameInBraces(closed)) return false;
        if (closed) return SkipBlanks();
        continue;
      }
      bool closed = false;
      if (!LabelNameTaken() || !LabelValue(closed)) return false;
      if (closed) return SkipBlanks();
    }
  }

  // A quoted metric name among the labels.
  bool NameInBraces(bool& closed) {
    if (!in_braces_) return Fail("expected '=' after label name, found " + QuoteByte(c_));
    if (name_in_braces_seen_)
      return Fail("multiple metric names for metric " + Quote(FamilyName()));
    if (c_ != ',' && c_ != '}') return Fail("unexpected end of metric name " + QuoteByte(c_));
    closed = c_ == '}';
    if (!FindFamily()) return false;
    BeginSeries();
    name_in_braces_seen_ = true;
    return true;
  }

  bool LabelNameTaken() {
    label_name_ = token_;
    if (label_name_ == "__name__") return Fail("label name \"__name__\" is reserved");
    if (!IsValidLabelName(label_name_, validation_)) {
      return Fail("invalid label name " + Quote(label_name_));
    }
    label_is_special_ = family_ != nullptr && family_->composite() &&
                        label_name_ == (family_->type == MetricType::kSummary ? "quantile" : "le");
    if (label_is_special_) return true;
    for (const LabelPair& other : labels_) {
      if (other.name == label_name_) {
        return Fail("duplicate label names for metric " + Quote(FamilyName()));
      }
    }
    return true;
  }

  // Sets `closed` after the closing brace.
  bool LabelValue(bool& closed) {
    if (!SkipBlanks()) return false;
    if (c_ != '"') return Fail("expected '\"' at start of label value, found " + QuoteByte(c_));
    if (!QuotedValue()) return false;
    if (!IsValidUtf8(token_)) return Fail("invalid label value " + Quote(token_));
    if (label_is_special_) {
      double& target = family_->type == MetricType::kSummary ? quantile_ : bound_;
      if (!ParseValue(token_, target)) {
        return Fail("expected float as value for '" + label_name_ + "' label, got " +
                    Quote(token_));
      }
    } else {
      labels_.push_back({label_name_, token_});
    }
    const std::string value = token_;
    if (!SkipBlanks()) return false;
    closed = c_ == '}';
    if (closed && !have_series_) return Fail("invalid metric name");
    if (!closed && c_ != ',') return Fail("unexpected end of label value " + Quote(value));
    return true;
  }

  bool Sample() {
    Draft::Series& series = FindSeries();
    if (!Word()) return false;
    double value = 0;
    if (!ParseValue(token_, value)) {
      return Fail("expected float as value, got " + Quote(token_));
    }
    if (!Store(series, value)) return false;
    if (c_ == '\n') return true;
    if (!SkipBlanks() || !Word()) return false;
    int64_t timestamp = 0;
    const char* begin = token_.data();
    if (token_.size() > 1 && token_[0] == '+' && token_[1] != '-') ++begin;
    const char* const end = token_.data() + token_.size();
    const auto [stop, error] = std::from_chars(begin, end, timestamp);
    if (error != std::errc() || stop != end) {
      return Fail("expected integer as timestamp, got " + Quote(token_));
    }
    series.timestamp_ms = timestamp;
    if (!RestOfLine(false)) return false;
    return token_.empty() || Fail("spurious string after timestamp: " + Quote(token_));
  }

  Draft::Series& FindSeries() {
    Labels labels = std::move(labels_);
    labels_.clear();
    if (family_->composite()) {
      Labels sorted = labels;
      std::sort(sorted.begin(), sorted.end());
      std::string key;
      for (const LabelPair& label : sorted) {
        (key += label.name) += '\xFF';
        (key += label.value) += '\xFF';
      }
      const auto [it, is_new] = family_->series_by_labels.emplace(key, family_->series.size());
      if (!is_new) return family_->series[it->second];
    }
    family_->series.emplace_back();
    family_->series.back().labels = std::move(labels);
    return family_->series.back();
  }

  // A count as integer where it is one.
  static void SetCount(double value, uint64_t& integer, double& real) {
    if (value >= 0 && value < 0x1p64 && std::floor(value) == value) {
      integer = static_cast<uint64_t>(value);
    } else {
      real = value;
    }
  }

  bool Store(Draft::Series& series, double value) {
    switch (*family_->type) {
      case MetricType::kCounter: series.value = CounterValue{value, nullptr, {}}; return true;
      case MetricType::kGauge: series.value = GaugeValue{value}; return true;
      case MetricType::kSummary: return StoreSummary(series, value);
      case MetricType::kHistogram:
      case MetricType::kGaugeHistogram: return StoreHistogram(series, value);
      default: series.value = UntypedValue{value}; return true;
    }
  }

  bool StoreSummary(Draft::Series& series, double value) {
    if (series.summary == nullptr) series.summary = std::make_unique<SummaryValue>();
    if (part_ == Part::kCount) {
      series.summary->sample_count =
          value >= 0 && value < 0x1p64 ? static_cast<uint64_t>(value) : 0;
    } else if (part_ == Part::kSum) {
      series.summary->sample_sum = value;
    } else if (!std::isnan(quantile_)) {
      series.summary->quantiles.push_back({quantile_, value});
    }
    return true;
  }

  bool StoreHistogram(Draft::Series& series, double value) {
    if (series.histogram == nullptr) series.histogram = std::make_unique<HistogramValue>();
    HistogramValue& histogram = *series.histogram;
    if (part_ == Part::kCount) {
      if (value < 0) return Fail("negative count for histogram " + Quote(family_->name));
      SetCount(value, histogram.sample_count, histogram.sample_count_float);
    } else if (part_ == Part::kSum) {
      histogram.sample_sum = value;
    } else if (!std::isnan(bound_)) {
      if (value < 0) {
        return Fail("negative bucket population for histogram " + Quote(family_->name));
      }
      Bucket bucket;
      bucket.upper_bound = bound_;
      SetCount(value, bucket.cumulative_count, bucket.cumulative_count_float);
      histogram.buckets.push_back(bucket);
    }
    return true;
  }

  // Where one number of a histogram is a fraction, all are floats.
  static void Normalise(HistogramValue& histogram) {
    bool any = histogram.sample_count_float != 0;
    for (const Bucket& bucket : histogram.buckets) any |= bucket.cumulative_count_float != 0;
    if (!any) return;
    const auto convert = [](uint64_t& integer, double& real) {
      if (real == 0) real = static_cast<double>(integer);
      integer = 0;
    };
    convert(histogram.sample_count, histogram.sample_count_float);
    for (Bucket& bucket : histogram.buckets) {
      convert(bucket.cumulative_count, bucket.cumulative_count_float);
    }
  }

  static MetricFamily Finished(Draft draft) {
    MetricFamily family{std::move(draft.name),
                        std::move(draft.help),
                        draft.type.value_or(MetricType::kUntyped),
                        {},
                        {}};
    for (Draft::Series& series : draft.series) {
      Metric metric{LabelSet(std::move(series.labels)), std::move(series.value),
                    series.timestamp_ms};
      if (series.summary != nullptr) {
        metric.value = std::shared_ptr<const SummaryValue>(std::move(series.summary));
      } else if (series.histogram != nullptr) {
        Normalise(*series.histogram);
        metric.value = std::shared_ptr<const HistogramValue>(std::move(series.histogram));
      }
      family.metrics.push_back(std::move(metric));
    }
    return family;
  }

  // --- Tokens. Each leaves the first byte after the token in c_. ---

  // From c_ to the next blank or line feed.
  bool Word() {
    token_.clear();
    while (!IsBlank(c_) && c_ != '\n') {
      token_ += c_;
      if (!Next()) return false;
    }
    return true;
  }

  // The byte that an escape sequence stands for, appended to token_.
  bool Unescape(bool& escaped) {
    if (c_ != '\\' && c_ != 'n' && c_ != '"') {
      return Fail(std::string("invalid escape sequence '\\") + c_ + "'");
    }
    token_ += c_ == 'n' ? '\n' : c_;
    escaped = false;
    return true;
  }

  // From c_ to the line feed. Backslashes are dropped where escapes are not read.
  bool RestOfLine(bool escapes) {
    token_.clear();
    bool escaped = false;
    for (;;) {
      if (escapes && escaped) {
        if (!Unescape(escaped)) return false;
      } else if (c_ == '\n') {
        return true;
      } else if (c_ == '\\') {
        escaped = true;
      } else {
        token_ += c_;
      }
      if (!Next()) return false;
    }
  }

  // A plain or quoted name from c_ on; empty when none begins here.
  bool Name(NameKind kind) {
    token_.clear();
    if (!IsNameStart(c_, kind)) return true;
    bool quoted = false;
    bool escaped = false;
    for (;;) {
      if (escaped) {
        if (!Unescape(escaped)) return false;
      } else if (c_ == '"') {
        quoted = !quoted;
        if (!quoted) return Next();
      } else if (c_ == '\n') {
        return Fail((kind == NameKind::kMetric ? "metric name " : "label name ") + Quote(token_) +
                    " contains unescaped new-line");
      } else if (c_ == '\\') {
        escaped = true;
      } else {
        token_ += c_;
      }
      if (!Next()) return false;
      if (!IsNameByte(c_, quoted, kind)) return true;
    }
  }

  // After an opening quote.
  bool QuotedValue() {
    token_.clear();
    bool escaped = false;
    for (;;) {
      if (!Next()) return false;
      if (escaped) {
        if (!Unescape(escaped)) return false;
      } else if (c_ == '"') {
        return true;
      } else if (c_ == '\n') {
        return Fail("label value " + Quote(token_) + " contains unescaped new-line");
      } else if (c_ == '\\') {
        escaped = true;
      } else {
        token_ += c_;
      }
    }
  }

  std::string_view FamilyName() const {
    return family_ == nullptr ? std::string_view() : std::string_view(family_->name);
  }

  const std::string_view text_;
  const NameValidation validation_;
  size_t at_ = 0;
  int line_ = 0;
  char c_ = 0;
  bool failed_ = false;
  std::string message_;
  std::string token_;

  std::map<std::string, Draft> drafts_;  // Nodes stay where they are.
  Draft* family_ = nullptr;
  Part part_ = Part::kValue;

  // Of the line that is read.
  bool in_braces_ = false;
  bool name_in_braces_seen_ = false;
  bool have_series_ = false;
  Labels labels_;
  std::string label_name_;
  bool label_is_special_ = false;
  double quantile_ = kNan;
  double bound_ = kNan;
};

}  // namespace

Result<std::vector<MetricFamily>> ReadText(std::string_view text, NameValidation validation) {
  return Reader(text, validation).Read();
}

}  // namespace narthex::client
