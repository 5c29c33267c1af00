// Label names, label values and series (parity/api.md section 4).
#include <algorithm>
#include <set>

#include "util/strings.h"
#include "web/api.h"
#include "web/json_writer.h"
#include "web/params.h"

namespace narthex::web {
namespace {

constexpr std::string_view kTruncated = "results truncated due to limit";

// A name escaped as U__…: `__` is an underscore, `_hex_` a rune.
std::string UnescapeLabelName(std::string_view name) {
  if (!name.starts_with("U__")) return std::string(name);
  std::string out;
  std::string_view rest = name.substr(3);
  while (!rest.empty()) {
    if (rest[0] != '_') {
      out.push_back(rest[0]);
      rest.remove_prefix(1);
      continue;
    }
    if (rest.starts_with("__")) {
      out.push_back('_');
      rest.remove_prefix(2);
      continue;
    }
    const size_t end = rest.find('_', 1);
    if (end == std::string_view::npos || end == 1 || end > 7) return std::string(name);
    char32_t rune = 0;
    for (const char c : rest.substr(1, end - 1)) {
      const size_t digit = std::string_view("0123456789abcdef").find(c);
      if (digit == std::string_view::npos) return std::string(name);
      rune = rune * 16 + static_cast<char32_t>(digit);
    }
    AppendRune(rune, &out);
    rest.remove_prefix(end + 1);
  }
  return out;
}

struct RangeAndLimit {
  TimeRange range;
  size_t limit = 0;
};

Result<RangeAndLimit> ReadRangeAndLimit(const net::FormValues& form) {
  NARTHEX_TRY(const size_t limit, ParseLimit(form));
  NARTHEX_TRY(const int64_t start, ParseTimeParam(form, "start", kMinTimeMs));
  NARTHEX_TRY(const int64_t end, ParseTimeParam(form, "end", kMaxTimeMs));
  return RangeAndLimit{{start, end}, limit};
}

void WriteStrings(Api::Call& call, std::vector<std::string> values, size_t limit) {
  if (limit > 0 && values.size() > limit) {
    values.resize(limit);
    call.warnings.emplace_back(kTruncated);
  }
  JsonWriter json(&call.writer.buffer());
  json.BeginArray();
  for (const std::string& value : values) json.String(value);
  json.EndArray();
}

}  // namespace

Status Api::LabelNames(Call& call) {
  const net::FormValues form = ReadForm(call.request);
  NARTHEX_TRY(const RangeAndLimit bounds, ReadRangeAndLimit(form));
  NARTHEX_TRY(const auto sets, MatchSets(form.GetAll("match[]"), true));
  NARTHEX_TRY(const auto querier, storage_.queryable->OpenQuerier(bounds.range));
  // One more than asked for tells whether something was cut.
  const storage::LabelQueryHints hints{bounds.limit == 0 ? 0 : bounds.limit + 1};
  std::set<std::string> names;
  const auto collect = [&](std::span<const Matcher> matchers) -> Status {
    Result<std::vector<std::string>> found = querier->LabelNames(hints, matchers);
    if (!found.ok()) return Status(ErrorCode::kExecution, found.status().message());
    names.insert(found->begin(), found->end());
    return {};
  };
  if (sets.empty()) NARTHEX_RETURN_IF_ERROR(collect({}));
  for (const auto& matchers : sets) NARTHEX_RETURN_IF_ERROR(collect(matchers));
  WriteStrings(call, {names.begin(), names.end()}, bounds.limit);
  return {};
}

Status Api::LabelValues(Call& call) {
  const std::string name = UnescapeLabelName(call.parameter("name"));
  if (name.empty() || !IsValidUtf8(name)) {
    return MakeError(ErrorCode::kInvalidInput, "invalid label name: {}", GoQuote(name));
  }
  const net::FormValues form = ReadForm(call.request);
  NARTHEX_TRY(const RangeAndLimit bounds, ReadRangeAndLimit(form));
  NARTHEX_TRY(const auto sets, MatchSets(form.GetAll("match[]"), true));
  NARTHEX_TRY(const auto querier, storage_.queryable->OpenQuerier(bounds.range));
  const storage::LabelQueryHints hints{bounds.limit == 0 ? 0 : bounds.limit + 1};
  std::set<std::string> values;
  const auto collect = [&](std::span<const Matcher> matchers) -> Status {
    Result<std::vector<std::string>> found = querier->LabelValues(name, hints, matchers);
    if (!found.ok()) return Status(ErrorCode::kExecution, found.status().message());
    values.insert(found->begin(), found->end());
    return {};
  };
  if (sets.empty()) NARTHEX_RETURN_IF_ERROR(collect({}));
  for (const auto& matchers : sets) NARTHEX_RETURN_IF_ERROR(collect(matchers));
  WriteStrings(call, {values.begin(), values.end()}, bounds.limit);
  return {};
}

Status Api::SeriesList(Call& call) {
  NARTHEX_TRY(const net::FormValues form, ParseForm(call.request));
  const std::vector<std::string> selectors = form.GetAll("match[]");
  if (selectors.empty()) {
    return Status(ErrorCode::kInvalidInput, "no match[] parameter provided");
  }
  NARTHEX_TRY(const RangeAndLimit bounds, ReadRangeAndLimit(form));
  auto sets = MatchSets(selectors, true);
  if (!sets.ok()) return InvalidParameter("match[]", sets.status());
  NARTHEX_TRY(const auto querier, storage_.queryable->OpenQuerier(bounds.range));
  storage::SelectHints hints;
  hints.start_ms = bounds.range.start_ms;
  hints.end_ms = bounds.range.end_ms;
  hints.labels_only = true;
  hints.function = "series";
  hints.limit = bounds.limit == 0 ? 0 : bounds.limit + 1;

  JsonWriter json(&call.writer.buffer());
  json.BeginArray();
  size_t count = 0;
  bool truncated = false;
  const auto write = [&](const Labels& labels) -> Status {
    if (bounds.limit > 0 && count == bounds.limit) {
      truncated = true;
      return {};
    }
    ++count;
    json.LabelObject(labels);
    return call.writer.Flush();
  };
  if (sets->size() == 1) {
    NARTHEX_TRY(const auto series_set,
                querier->Select(storage::SeriesOrder::kAny, hints, sets->front()));
    while (!truncated) {
      const std::unique_ptr<storage::Series> series = series_set->Next();
      if (series == nullptr) break;
      NARTHEX_RETURN_IF_ERROR(write(series->labels()));
    }
    if (Status status = series_set->status(); !status.ok()) {
      return Status(ErrorCode::kExecution, status.message());
    }
  } else {
    std::set<Labels> merged;
    for (const auto& matchers : *sets) {
      NARTHEX_TRY(const auto series_set,
                  querier->Select(storage::SeriesOrder::kSorted, hints, matchers));
      while (const std::unique_ptr<storage::Series> series = series_set->Next()) {
        merged.insert(series->labels());
      }
      if (Status status = series_set->status(); !status.ok()) {
        return Status(ErrorCode::kExecution, status.message());
      }
    }
    for (const Labels& labels : merged) NARTHEX_RETURN_IF_ERROR(write(labels));
  }
  json.EndArray();
  if (truncated) call.warnings.emplace_back(kTruncated);
  return {};
}

}  // namespace narthex::web
