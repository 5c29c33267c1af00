// Names and values for auto-completion, as lines of JSON (parity/api.md section 9).
//
//   {"results":[{"name":"up","score":1}, …]}      a batch a line
//   {"status":"success","has_more":false}         the last line
#include <algorithm>
#include <map>
#include <set>

#include "util/numbers.h"
#include "util/strings.h"
#include "web/api.h"
#include "web/json_writer.h"
#include "web/params.h"
#include "web/search_match.h"

namespace narthex::web {
namespace {

constexpr int64_t kDefaultLimit = 100;
constexpr int64_t kDefaultBatch = 100;
constexpr int64_t kBatchMax = 1'000;
// The cost of a value grows with the number of terms.
constexpr size_t kTermsMax = 32;
constexpr int64_t kDefaultRangeMs = 3'600'000;

struct SearchRequest {
  TimeRange range;
  std::vector<std::vector<Matcher>> sets;
  SearchTerms terms;
  std::string sort_by;
  bool descending = false;
  bool include_score = false;
  size_t limit = 0;
  size_t batch_size = 0;
};

struct Found {
  std::string text;
  double score;
};

template <typename... Args>
Status BadData(fmt::format_string<Args...> format, Args&&... args) {
  return Status(ErrorCode::kInvalidInput, fmt::format(format, std::forward<Args>(args)...));
}

Result<bool> ReadBool(const net::FormValues& form, std::string_view name, bool missing) {
  const std::string_view text = form.Get(name);
  if (text.empty()) return missing;
  const std::optional<bool> value = ParseBool(text);
  if (!value) return BadData("invalid {} {}: must be boolean", name, GoQuote(text));
  return *value;
}

// Like other times of the API, but errors go without the parameter's prefix.
Result<int64_t> ReadTime(const net::FormValues& form, std::string_view name, int64_t missing) {
  const std::string_view text = form.Get(name);
  if (text.empty()) return missing;
  Result<int64_t> time = ParseTime(text);
  if (time.ok()) return time;
  return time.status().WithPrefix(fmt::format("invalid time value for '{}': ", name));
}

Status ReadOrder(const net::FormValues& form, SearchRequest* request) {
  request->sort_by = form.Get("sort_by");
  const std::string_view direction = form.Get("sort_dir");
  if (!direction.empty() && request->sort_by.empty()) {
    return BadData("sort_dir is only valid when sort_by is set");
  }
  if (!direction.empty() && request->sort_by == "score") {
    return BadData("sort_dir is not supported for sort_by=score");
  }
  if (!direction.empty() && direction != "asc" && direction != "dsc") {
    return BadData("invalid sort_dir {}: must be \"asc\" or \"dsc\"", GoQuote(direction));
  }
  request->descending = direction == "dsc";
  if (request->sort_by == "score" && !form.Has("search[]")) {
    return BadData("sort_by=score requires search[] to be set");
  }
  return {};
}

Status ReadSizes(const net::FormValues& form, int64_t limit_max, SearchRequest* request) {
  int64_t limit = limit_max > 0 ? std::min(kDefaultLimit, limit_max) : kDefaultLimit;
  if (const std::string_view text = form.Get("limit"); !text.empty()) {
    const std::optional<int64_t> parsed = ParseInt(text);
    if (!parsed || *parsed <= 0) {
      return BadData("invalid limit {}: must be a positive integer", GoQuote(text));
    }
    if (limit_max > 0 && *parsed > limit_max) {
      return BadData("limit {} exceeds the configured maximum ({}, see --web.search.max-limit)",
                     *parsed, limit_max);
    }
    limit = *parsed;
  }
  int64_t batch = kDefaultBatch;
  if (const std::string_view text = form.Get("batch_size"); !text.empty()) {
    const std::optional<int64_t> parsed = ParseInt(text);
    if (!parsed || *parsed <= 0) {
      return BadData("invalid batch_size {}: must be a positive integer", GoQuote(text));
    }
    batch = *parsed;
  }
  request->limit = static_cast<size_t>(limit);
  request->batch_size = static_cast<size_t>(std::min({batch, limit, kBatchMax}));
  return {};
}

Status ReadTerms(const net::FormValues& form, SearchTerms* terms) {
  terms->terms = form.GetAll("search[]");
  if (terms->terms.size() > kTermsMax) {
    return BadData("too many search[] terms: got {}, maximum is {}", terms->terms.size(),
                   kTermsMax);
  }
  if (const std::string_view text = form.Get("fuzz_threshold"); !text.empty()) {
    const std::optional<int64_t> parsed = ParseInt(text);
    if (!parsed || *parsed < 0 || *parsed > 100) {
      return BadData("invalid fuzz_threshold {}: must be 0-100", GoQuote(text));
    }
    terms->threshold_percent = static_cast<int>(*parsed);
  }
  if (const std::string_view text = form.Get("fuzz_alg"); text == "jarowinkler") {
    terms->algorithm = FuzzyAlgorithm::kJaroWinkler;
  } else if (!text.empty() && text != "subsequence") {
    return BadData("unsupported fuzz_alg {}: must be one of [subsequence jarowinkler]",
                   GoQuote(text));
  }
  NARTHEX_TRY(terms->case_sensitive, ReadBool(form, "case_sensitive", true));
  return {};
}

// Values in order, those that fit, one more than the limit at most.
std::vector<Found> Choose(std::vector<std::string> values, const SearchRequest& request) {
  const SearchFilter filter(request.terms);
  const size_t wanted = request.limit + 1;
  std::vector<Found> found;
  if (request.sort_by == "score") {
    for (std::string& value : values) {
      if (const auto score = filter.Score(value)) found.push_back({std::move(value), *score});
    }
    const auto better = [](const Found& a, const Found& b) {
      return a.score != b.score ? a.score > b.score : a.text < b.text;
    };
    const auto end = found.begin() + static_cast<ptrdiff_t>(std::min(wanted, found.size()));
    std::partial_sort(found.begin(), end, found.end(), better);
    found.erase(end, found.end());
    return found;
  }
  if (request.descending) std::reverse(values.begin(), values.end());
  for (std::string& value : values) {
    if (found.size() == wanted) break;
    if (const auto score = filter.Score(value)) found.push_back({std::move(value), *score});
  }
  return found;
}

// What a metric's family is called, if the type of the family allows the suffix.
bool TypeHasSuffix(MetricType type, std::string_view suffix) {
  const bool histogram = type == MetricType::kHistogram || type == MetricType::kGaugeHistogram;
  if (suffix == "_total") return type == MetricType::kCounter;
  if (suffix == "_bucket") return histogram;
  if (suffix == "_sum" || suffix == "_count") return histogram || type == MetricType::kSummary;
  if (suffix == "_gsum" || suffix == "_gcount") return type == MetricType::kGaugeHistogram;
  if (suffix == "_info") return type == MetricType::kInfo;
  return false;
}

}  // namespace

// Metadata of all targets, by family; kept for a moment, since people type quickly.
struct Api::MetadataCache {
  static constexpr int64_t kLifeNanos = 5 * kNanosPerSecond;
  using Map = std::map<std::string, std::vector<Metadata>, std::less<>>;

  std::mutex mutex;
  int64_t built_nanos = 0;
  std::shared_ptr<const Map> map;

  std::shared_ptr<const Map> Get(const ApiSources& sources, int64_t now_nanos) {
    const std::lock_guard lock(mutex);
    if (map && now_nanos - built_nanos < kLifeNanos) return map;
    auto fresh = std::make_shared<Map>();
    for (TargetMetadataView& entry : sources.targets_metadata()) {
      std::vector<Metadata>& kinds = (*fresh)[entry.metric];
      const bool known = std::any_of(kinds.begin(), kinds.end(), [&](const Metadata& kind) {
        return kind.type == entry.metadata.type;
      });
      if (!known) kinds.push_back(std::move(entry.metadata));
    }
    map = std::move(fresh);
    built_nanos = now_nanos;
    return map;
  }

  static const Metadata* Find(const Map& map, std::string_view metric) {
    if (const auto exact = map.find(metric); exact != map.end()) return &exact->second.front();
    const size_t cut = metric.rfind('_');
    if (cut == metric.npos) return nullptr;
    const std::string_view family = metric.substr(0, cut);
    const std::string_view suffix = metric.substr(cut);
    // A family of the text format has its suffix in its name already, once.
    if ((suffix == "_total" || suffix == "_info") && family.ends_with(suffix)) return nullptr;
    const auto found = map.find(family);
    if (found == map.end()) return nullptr;
    for (const Metadata& kind : found->second) {
      if (TypeHasSuffix(kind.type, suffix)) return &kind;
    }
    return nullptr;
  }
};

// Reads the request and answers; an error before the first line becomes an ordinary error answer.
Status Api::Search(net::HttpExchange& exchange, SearchKind kind) {
  if (!options_.enable_search) return Status(ErrorCode::kUnavailable, "search API disabled");
  if (options_.agent) {
    return Status(ErrorCode::kExecution, "unavailable with Prometheus Agent");
  }
  NARTHEX_TRY(const net::FormValues form, ParseForm(exchange.request()));
  SearchRequest request;
  const int64_t now_ms = clock_.NowMillis();
  NARTHEX_TRY(request.range.start_ms, ReadTime(form, "start", now_ms - kDefaultRangeMs));
  NARTHEX_TRY(request.range.end_ms, ReadTime(form, "end", now_ms));
  if (request.range.end_ms < request.range.start_ms) {
    return BadData("end timestamp must not be before start timestamp");
  }
  NARTHEX_TRY(request.sets, MatchSets(form.GetAll("match[]"), true));
  NARTHEX_RETURN_IF_ERROR(ReadTerms(form, &request.terms));
  NARTHEX_TRY(request.include_score, ReadBool(form, "include_score", false));
  NARTHEX_RETURN_IF_ERROR(ReadOrder(form, &request));
  NARTHEX_RETURN_IF_ERROR(ReadSizes(form, options_.search_limit_max, &request));
  if (!request.sort_by.empty() && request.sort_by != "alpha" && request.sort_by != "score") {
    constexpr std::string_view kNames[] = {"metric_names", "label_names", "label_values"};
    return BadData("invalid sort_by {} for {}: must be \"alpha\" or \"score\"",
                   GoQuote(request.sort_by), kNames[static_cast<size_t>(kind)]);
  }
  NARTHEX_TRY(const auto querier, storage_.queryable->OpenQuerier(request.range));
  bool include_metadata = false;
  std::string label(kMetricNameLabel);
  if (kind == SearchKind::kMetricNames) {
    NARTHEX_TRY(include_metadata, ReadBool(form, "include_metadata", false));
  } else if (kind == SearchKind::kLabelValues) {
    label = form.Get("label");
    if (label.empty()) return BadData("missing required parameter \"label\"");
  }

  storage::LabelQueryHints hints;
  // In ascending order the first that come are the first to show.
  if (SearchFilter(request.terms).accepts_all() && !request.descending) {
    hints.limit = request.limit + 1;
  }
  std::set<std::string> merged;
  std::vector<std::string> values;
  if (request.sets.empty()) request.sets.emplace_back();
  for (const std::vector<Matcher>& matchers : request.sets) {
    Result<std::vector<std::string>> part = kind == SearchKind::kLabelNames
                                                ? querier->LabelNames(hints, matchers)
                                                : querier->LabelValues(label, hints, matchers);
    if (!part.ok()) return Status(ErrorCode::kExecution, part.status().message());
    if (request.sets.size() == 1) {
      values = *std::move(part);
    } else {
      merged.insert(std::make_move_iterator(part->begin()), std::make_move_iterator(part->end()));
    }
  }
  if (!merged.empty()) values.assign(merged.begin(), merged.end());
  std::vector<Found> found = Choose(std::move(values), request);
  const bool has_more = found.size() > request.limit;
  if (has_more) found.resize(request.limit);

  net::HttpResponse response;
  AddCors(exchange.request(), &response.headers);
  response.headers.Add("Content-Type", "application/x-ndjson; charset=utf-8");
  exchange.StartStream(std::move(response));
  std::shared_ptr<const MetadataCache::Map> metadata;
  if (include_metadata && !found.empty()) {
    metadata = metadata_cache_->Get(sources_, clock_.NowNanos());
  }
  size_t next = 0;
  do {
    std::string line;
    JsonWriter json(&line);
    json.BeginObject().Key("results").BeginArray();
    for (size_t i = 0; i < request.batch_size && next < found.size(); ++i, ++next) {
      json.BeginObject();
      json.Key(kind == SearchKind::kLabelValues ? "value" : "name").String(found[next].text);
      if (request.include_score) json.Key("score").Double(found[next].score);
      const Metadata* entry = metadata ? MetadataCache::Find(*metadata, found[next].text) : nullptr;
      if (entry != nullptr) {
        json.Key("type").String(MetricTypeName(entry->type));
        if (!entry->help.empty()) json.Key("help").String(entry->help);
        if (!entry->unit.empty()) json.Key("unit").String(entry->unit);
      }
      json.EndObject();
    }
    json.EndArray().EndObject();
    line.push_back('\n');
    if (!exchange.Write(std::move(line)).ok()) return {};  // The client left.
  } while (next < found.size());
  std::string line;
  JsonWriter(&line)
      .BeginObject()
      .Key("status")
      .String("success")
      .Key("has_more")
      .Bool(has_more)
      .EndObject();
  line.push_back('\n');
  if (exchange.Write(std::move(line)).ok()) exchange.Finish();
  return {};
}

void Api::AddSearch(const std::string& prefix, Router& router) {
  metadata_cache_ = std::make_shared<MetadataCache>();
  const auto add = [&](const std::string& path, SearchKind kind) {
    router.Handle({"GET", "POST"}, prefix + "/api/v1/search/" + path,
                  [this, kind](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                    if (RefuseUnready(*exchange)) return;
                    query_pool_.Submit([this, kind, exchange = std::move(exchange)] {
                      const Status status = Search(*exchange, kind);
                      if (!status.ok()) RespondError(exchange, status);
                    });
                  });
  };
  add("metric_names", SearchKind::kMetricNames);
  add("label_names", SearchKind::kLabelNames);
  add("label_values", SearchKind::kLabelValues);
}

}  // namespace narthex::web
