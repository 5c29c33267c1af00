// Start timestamp lines of test scripts: a metric, @st, and offsets with their own small grammar.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "promql/parser/series_description.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kSuffix = "@st";

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// A signed duration, in milliseconds.
Result<int64_t> TakeOffset(std::string_view* text) {
  if (text->empty()) return MakeError(ErrorCode::kInvalidInput, "empty duration");
  const bool negative = text->front() == '-';
  const size_t begin = negative || text->front() == '+' ? 1 : 0;
  size_t end = begin;
  while (end < text->size() && IsDigit((*text)[end])) ++end;
  if (end == begin) {
    return MakeError(ErrorCode::kInvalidInput, "expected digits in duration {}", GoQuote(*text));
  }
  // An x begins the repetition; no unit has one.
  while (end < text->size() && IsLetter((*text)[end]) && (*text)[end] != 'x') ++end;
  const std::string_view duration = text->substr(begin, end - begin);
  const Result<int64_t> nanos = ParseDuration(duration);
  if (!nanos.ok()) {
    return nanos.status().WithPrefix("invalid duration " + GoQuote(duration) + ": ");
  }
  text->remove_prefix(end);
  const int64_t millis = *nanos / kNanosPerMilli;
  return negative ? -millis : millis;
}

Result<uint64_t> ParseCount(std::string_view text) {
  const std::optional<uint64_t> count = ParseUint(text);
  if (!count || *count >= kSequenceValuesMax) {
    return MakeError(ErrorCode::kInvalidInput, "invalid repeat count");
  }
  return *count;
}

Status AppendItem(std::string_view item, std::vector<SequenceValue>* offsets) {
  if (item == "_" || item.starts_with("_x")) {
    uint64_t count = 1;
    if (item != "_") {
      NARTHEX_TRY(count, ParseCount(item.substr(2)));
      if (count == 0) return MakeError(ErrorCode::kInvalidInput, "invalid repeat count");
    }
    offsets->insert(offsets->end(), count, SequenceValue{.omitted = true, .histogram = nullptr});
    return {};
  }
  NARTHEX_TRY(int64_t offset, TakeOffset(&item));
  int64_t step = 0;
  uint64_t count = 0;
  if (!item.empty() && item.front() != 'x') {
    const char sign = item.front();
    if (sign != '+' && sign != '-') {
      return MakeError(ErrorCode::kInvalidInput, "unexpected character {} after duration",
                       GoQuoteRune(static_cast<unsigned char>(sign)));
    }
    item.remove_prefix(1);
    Result<int64_t> magnitude = TakeOffset(&item);
    if (!magnitude.ok()) return magnitude.status().WithPrefix("invalid step duration: ");
    step = sign == '-' ? -*magnitude : *magnitude;
    if (!item.starts_with('x')) {
      return MakeError(ErrorCode::kInvalidInput, "expected 'x<count>' after step duration");
    }
  }
  if (!item.empty()) {
    NARTHEX_TRY(count, ParseCount(item.substr(1)));
  }
  for (uint64_t i = 0; i <= count; ++i) {
    offsets->push_back({.value = static_cast<double>(offset), .histogram = nullptr});
    offset += step;
  }
  return {};
}

}  // namespace

bool IsStartTimestampLine(std::string_view line) {
  line = TrimSpace(line);
  const size_t space = line.find_first_of(" \t");
  return space != std::string_view::npos && line.substr(0, space).ends_with(kSuffix);
}

Result<StartTimestampLine> ParseStartTimestampLine(std::string_view line,
                                                   const ParserOptions& options) {
  line = TrimSpace(line);
  const size_t space = line.find_first_of(" \t");
  if (space == std::string_view::npos) {
    return MakeError(ErrorCode::kInvalidInput, "invalid @st line: missing value sequence");
  }
  std::string_view metric = line.substr(0, space);
  if (metric.ends_with(kSuffix)) metric.remove_suffix(kSuffix.size());
  Result<SeriesDescription> series = ParseSeriesDescription(std::string(metric) + " _", options);
  if (!series.ok()) {
    return series.status().WithPrefix("invalid @st line metric " + GoQuote(metric) + ": ");
  }
  StartTimestampLine result{std::move(series->labels), {}};
  std::string_view rest = line.substr(space);
  for (;;) {
    const size_t begin = rest.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) break;
    rest.remove_prefix(begin);
    const std::string_view item = rest.substr(0, rest.find_first_of(" \t\r\n"));
    rest.remove_prefix(item.size());
    if (const Status status = AppendItem(item, &result.offsets); !status.ok()) {
      return status.WithPrefix("invalid @st sequence: invalid ST item " + GoQuote(item) + ": ");
    }
  }
  return result;
}

}  // namespace narthex::promql
