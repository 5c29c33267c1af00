// Targets, their metadata, scrape pools and Alertmanagers (parity/api.md sections 4 and 5).
#include <algorithm>
#include <map>

#include "promql/parser/parser.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "web/api.h"
#include "web/json_writer.h"
#include "web/params.h"

namespace narthex::web {
namespace {

// What people see of a target's labels: those kept internally (__…) are hidden.
Labels VisibleLabels(const Labels& labels) {
  LabelsBuilder builder(labels);
  for (const LabelView& label : labels) {
    if (label.name.starts_with("__")) builder.Delete(label.name);
  }
  return builder.Build();
}

void WriteTarget(JsonWriter& json, const TargetView& target, const std::string& global_url) {
  json.BeginObject();
  json.Key("discoveredLabels").LabelObject(target.discovered_labels);
  json.Key("labels").LabelObject(VisibleLabels(target.labels));
  json.Key("scrapePool").String(target.scrape_pool);
  json.Key("scrapeUrl").String(target.scrape_url);
  json.Key("globalUrl").String(global_url);
  json.Key("lastError").String(target.last_error);
  json.Key("lastScrape")
      .String(target.last_scrape_nanos == 0 ? "0001-01-01T00:00:00Z"
                                            : FormatRfc3339Nano(target.last_scrape_nanos));
  json.Key("lastScrapeDuration").Double(target.last_scrape_seconds);
  json.Key("health").String(target.health);
  json.Key("scrapeInterval").String(target.scrape_interval);
  json.Key("scrapeTimeout").String(target.scrape_timeout);
  json.EndObject();
}

bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels) {
  return std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
    return matcher.Matches(labels.Get(matcher.name()));
  });
}

// An integer parameter; `missing` when it is absent.
Result<int64_t> ParseCount(const net::FormValues& form, std::string_view name, int64_t missing) {
  const std::string_view text = form.Get(name);
  if (text.empty()) return missing;
  const std::optional<int64_t> count = ParseInt(text);
  if (!count) return MakeError(ErrorCode::kInvalidInput, "{} must be a number", name);
  return *count;
}

void WriteMetadataFields(JsonWriter& json, const Metadata& metadata) {
  json.Key("type").String(MetricTypeName(metadata.type));
  json.Key("help").String(metadata.help);
  json.Key("unit").String(metadata.unit);
}

}  // namespace

// A target on this machine is shown with the name under which the world reaches the machine.
std::string Api::GlobalUrl(const std::string& scrape_url) const {
  const Result<net::Url> url = net::ParseUrl(scrape_url);
  const Result<net::Url> external = net::ParseUrl(options_.external_url);
  if (!url.ok() || !external.ok()) return scrape_url;
  if (url->host != "localhost" && url->host != "127.0.0.1" && url->host != "::1") return scrape_url;
  const bool own_port =
      std::any_of(options_.listen_addresses.begin(), options_.listen_addresses.end(),
                  [&](const std::string& address) { return address.ends_with(":" + url->port); });
  std::string scheme = url->scheme;
  std::string host = external->host;
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  if (own_port) {
    scheme = external->scheme;
    if (!external->port.empty()) host += ":" + external->port;
  } else if (!url->port.empty()) {
    host += ":" + url->port;
  }
  return scheme + "://" + host + url->path + (url->query.empty() ? "" : "?" + url->query);
}

Status Api::Targets(Call& call) {
  const net::FormValues form = ParseQuery(call.request);
  const std::string state = ToLower(form.Get("state"));
  const std::string_view pool = form.Get("scrapePool");
  const bool show_active = state.empty() || state == "any" || state == "active";
  const bool show_dropped = state.empty() || state == "any" || state == "dropped";
  const TargetsView view = sources_.targets();

  JsonWriter json(&call.writer.buffer());
  json.BeginObject().Key("activeTargets").BeginArray();
  for (const TargetView& target : view.active) {
    if (!show_active || (!pool.empty() && target.scrape_pool != pool)) continue;
    WriteTarget(json, target, GlobalUrl(target.scrape_url));
    NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
  }
  json.EndArray().Key("droppedTargets").BeginArray();
  for (const DroppedTargetView& target : view.dropped) {
    if (!show_dropped || (!pool.empty() && target.scrape_pool != pool)) continue;
    json.BeginObject().Key("discoveredLabels").LabelObject(target.discovered_labels);
    json.Key("scrapePool").String(target.scrape_pool).EndObject();
    NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
  }
  json.EndArray().Key("droppedTargetCounts");
  if (show_dropped) {
    json.BeginObject();
    for (const auto& [name, count] : view.dropped_counts) {
      json.Key(name).Int(static_cast<int64_t>(count));
    }
    json.EndObject();
  } else {
    json.Null();
  }
  json.EndObject();
  return {};
}

Status Api::TargetsMetadata(Call& call) {
  const net::FormValues form = ParseQuery(call.request);
  NARTHEX_TRY(const int64_t limit, ParseCount(form, "limit", -1));
  std::vector<Matcher> matchers;
  if (const std::string_view selector = form.Get("match_target"); !selector.empty()) {
    auto parsed = promql::ParseMetricSelector(selector, options_.parser);
    if (!parsed.ok()) return InvalidParameter("match_target", parsed.status());
    matchers = *std::move(parsed);
  }
  const std::string_view metric = form.Get("metric");
  JsonWriter json(&call.writer.buffer());
  json.BeginArray();
  int64_t count = 0;
  Labels target;
  for (const TargetMetadataView& entry : sources_.targets_metadata()) {
    // The limit is looked at between targets, so that the last one is shown whole.
    if (limit >= 0 && count >= limit && entry.target_labels != target) break;
    target = entry.target_labels;
    const Labels labels = VisibleLabels(entry.target_labels);
    if (!MatchesAll(matchers, labels)) continue;
    if (!metric.empty() && entry.metric != metric) continue;
    ++count;
    json.BeginObject().Key("target").LabelObject(labels);
    if (metric.empty()) json.Key("metric").String(entry.metric);
    WriteMetadataFields(json, entry.metadata);
    json.EndObject();
    NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
  }
  json.EndArray();
  return {};
}

Status Api::MetricMetadata(Call& call) {
  const net::FormValues form = ParseQuery(call.request);
  NARTHEX_TRY(const int64_t limit, ParseCount(form, "limit", -1));
  NARTHEX_TRY(const int64_t limit_per_metric, ParseCount(form, "limit_per_metric", -1));
  const std::string_view metric = form.Get("metric");
  std::map<std::string, std::vector<Metadata>> families;
  for (TargetMetadataView& entry : sources_.targets_metadata()) {
    if (!metric.empty() && entry.metric != metric) continue;
    if (!families.contains(entry.metric) && limit >= 0 &&
        static_cast<int64_t>(families.size()) >= limit) {
      continue;
    }
    std::vector<Metadata>& seen = families[entry.metric];
    const bool full = limit_per_metric > 0 && static_cast<int64_t>(seen.size()) >= limit_per_metric;
    if (!full && std::find(seen.begin(), seen.end(), entry.metadata) == seen.end()) {
      seen.push_back(std::move(entry.metadata));
    }
  }
  JsonWriter json(&call.writer.buffer());
  json.BeginObject();
  for (const auto& [name, entries] : families) {
    json.Key(name).BeginArray();
    for (const Metadata& metadata : entries) {
      json.BeginObject();
      json.Key("type").String(MetricTypeName(metadata.type));
      json.Key("unit").String(metadata.unit);
      json.Key("help").String(metadata.help);
      json.EndObject();
    }
    json.EndArray();
    NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
  }
  json.EndObject();
  return {};
}

Status Api::ScrapePools(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginObject().Key("scrapePools").BeginArray();
  for (const std::string& pool : sources_.scrape_pools()) json.String(pool);
  json.EndArray().EndObject();
  return {};
}

Status Api::ScrapePoolConfig(Call& call) {
  const net::FormValues form = ParseQuery(call.request);
  const std::string pool(form.Get("scrapePool"));
  if (pool.empty()) {
    return Status(ErrorCode::kInvalidInput, "no scrapePool parameter provided");
  }
  Result<std::string> yaml = sources_.scrape_pool_config(pool);
  if (!yaml.ok()) {
    return Status(ErrorCode::kInvalidInput,
                  "error retrieving scrape config: " + yaml.status().message());
  }
  JsonWriter(&call.writer.buffer()).BeginObject().Key("yaml").String(*yaml).EndObject();
  return {};
}

Status Api::Alertmanagers(Call& call) {
  const AlertmanagersView view = sources_.alertmanagers();
  JsonWriter json(&call.writer.buffer());
  const auto list = [&](std::string_view key, const std::vector<std::string>& urls) {
    json.Key(key).BeginArray();
    for (const std::string& url : urls) json.BeginObject().Key("url").String(url).EndObject();
    json.EndArray();
  };
  json.BeginObject();
  list("activeAlertmanagers", view.active_urls);
  list("droppedAlertmanagers", view.dropped_urls);
  json.EndObject();
  return {};
}

}  // namespace narthex::web
