#include "exposition/series_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "exposition/scan.h"
#include "model/float_histogram_ops.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exposition {

std::string_view TokenName(Token token) {
  static constexpr std::array<std::string_view, 36> kNames = {"INVALID",
                                                              "EOF",
                                                              "LINEBREAK",
                                                              "WHITESPACE",
                                                              "HELP",
                                                              "TYPE",
                                                              "UNIT",
                                                              "EOFWORD",
                                                              "TEXT",
                                                              "COMMENT",
                                                              "MNAME",
                                                              "QSTRING",
                                                              "BOPEN",
                                                              "BCLOSE",
                                                              "LNAME",
                                                              "LVALUE",
                                                              "COMMA",
                                                              "EQUAL",
                                                              "TIMESTAMP",
                                                              "VALUE",
                                                              "STARTTIMESTAMP",
                                                              "COMPOPEN",
                                                              "COMPCLOSE",
                                                              "COMPCOUNT",
                                                              "COMPGCOUNT",
                                                              "COMPSUM",
                                                              "COMPGSUM",
                                                              "COMPSCHEMA",
                                                              "COMPZEROTHRESHOLD",
                                                              "COMPZEROCOUNT",
                                                              "COMPNEGSPANS",
                                                              "COMPNEGBUCKETS",
                                                              "COMPPOSPANS",
                                                              "COMPPOSBUCKETS",
                                                              "COMPBUCKET",
                                                              "COMPQUANTILE"};
  return kNames[static_cast<size_t>(token)];
}

namespace {

std::string_view ReplaceEscapes(std::string_view text, bool quotes, std::string* scratch) {
  if (text.find('\\') == std::string_view::npos) return text;
  scratch->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == '\\' && (next == '\\' || next == 'n' || (quotes && next == '"'))) {
      scratch->push_back(next == 'n' ? '\n' : next);
      ++i;
    } else {
      scratch->push_back(text[i]);
    }
  }
  return *scratch;
}

}  // namespace

std::string_view Unescape(std::string_view text, std::string* scratch) {
  return ReplaceEscapes(text, /*quotes=*/true, scratch);
}

std::string_view UnescapeHelp(std::string_view text, std::string* scratch) {
  return ReplaceEscapes(text, /*quotes=*/false, scratch);
}

std::string_view NormalizeBound(MetricType type, std::string_view label, std::string_view value,
                                std::string* scratch) {
  const bool bound = (type == MetricType::kHistogram && label == kBucketLabel) ||
                     (type == MetricType::kSummary && label == kQuantileLabel);
  if (!bound) return value;
  bool out_of_range = false;
  const std::optional<double> number = ParseFloat(value, &out_of_range);
  if (!number || out_of_range) return value;
  *scratch = FormatOpenMetricsFloat(*number);
  return *scratch;
}

Labels SortedLabels(std::vector<LabelView>* pairs) {
  std::stable_sort(pairs->begin(), pairs->end(),
                   [](const LabelView& a, const LabelView& b) { return a.name < b.name; });
  return Labels::FromSorted(*pairs);
}

Labels BuildSeriesLabels(std::string_view body, const SeriesParts& parts, MetricType type,
                         const MetadataLabels& metadata) {
  const auto slice = [body](const Slice& s) { return body.substr(s.begin, s.end - s.begin); };
  std::vector<LabelView> pairs;
  // Texts that had to be rewritten; a deque would do, but these are few and reserved for.
  std::vector<std::string> owned;
  owned.reserve(2 * parts.labels.size() + 2);
  const auto unescape = [&](std::string_view text) {
    if (text.find('\\') == std::string_view::npos) return text;
    return Unescape(text, &owned.emplace_back());
  };
  const std::string_view name = unescape(slice(parts.name));
  pairs.push_back({kMetricNameLabel, name});
  const bool with_type = metadata.enabled && metadata.type != MetricType::kUnknown;
  const bool with_unit = metadata.enabled && !metadata.unit.empty();
  if (with_type) pairs.push_back({kTypeLabel, MetricTypeName(metadata.type)});
  if (with_unit) pairs.push_back({kUnitLabel, metadata.unit});
  for (size_t i = 0; i + 1 < parts.labels.size(); i += 2) {
    const std::string_view label = unescape(slice(parts.labels[i]));
    // What the metadata says goes before what the target wrote.
    if (metadata.enabled &&
        ((label == kMetricNameLabel && !name.empty()) || (label == kTypeLabel && with_type) ||
         (label == kUnitLabel && with_unit))) {
      continue;
    }
    const std::string_view value = unescape(slice(parts.labels[i + 1]));
    std::string scratch;
    const std::string_view normal = NormalizeBound(type, label, value, &scratch);
    pairs.push_back(
        {label, normal.data() == value.data() ? value : owned.emplace_back(std::move(scratch))});
  }
  return SortedLabels(&pairs);
}

Labels BuildExemplarLabels(std::string_view body, const std::vector<Slice>& labels) {
  const auto slice = [body](const Slice& s) { return body.substr(s.begin, s.end - s.begin); };
  std::vector<LabelView> pairs;
  for (size_t i = 0; i + 1 < labels.size(); i += 2) {
    pairs.push_back({slice(labels[i]), slice(labels[i + 1])});
  }
  return SortedLabels(&pairs);
}

Result<double> ParseSampleValue(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  if (ScanPlainNumber(text.data(), end, &value) == end) return value;
  const bool digit_first =
      !text.empty() && (IsA(text[0], kLabelChar) && !IsA(text[0], kLabelStart));
  if (digit_first) {
    // Decimal numbers of any length, without a detour over Go's rarer forms.
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end) return value;
  }
  if (text.find_first_of("pP_") != std::string_view::npos) {
    return MakeError(ErrorCode::kInvalidInput, "unsupported character in float");
  }
  bool out_of_range = false;
  const std::optional<double> number = ParseFloat(text, &out_of_range);
  if (!number || out_of_range) {
    return MakeError(ErrorCode::kInvalidInput, "strconv.ParseFloat: parsing {}: {}", GoQuote(text),
                     out_of_range ? "value out of range" : "invalid syntax");
  }
  // One NaN for all, so that no target can write a stale marker.
  return std::isnan(*number) ? NormalNan() : *number;
}

Result<int64_t> ParseIntegerTimestamp(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return MakeError(
      ErrorCode::kInvalidInput, "strconv.ParseInt: parsing {}: {}", GoQuote(text),
      error == std::errc::result_out_of_range ? "value out of range" : "invalid syntax");
}

int64_t SecondsToMillis(double seconds) {
  const double millis = seconds * 1000;
  constexpr double kLimit = 9223372036854775808.0;
  if (!(millis < kLimit && millis >= -kLimit)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(millis);
}

MetricType MetricTypeFromName(std::string_view name, bool* known) {
  *known = true;
  for (const MetricType type : {MetricType::kCounter, MetricType::kGauge, MetricType::kHistogram,
                                MetricType::kGaugeHistogram, MetricType::kSummary,
                                MetricType::kInfo, MetricType::kStateset, MetricType::kUnknown}) {
    if (name == MetricTypeName(type)) return type;
  }
  *known = false;
  return MetricType::kUnknown;
}

}  // namespace narthex::exposition
