#include "web/api.h"

#include <re2/re2.h>

#include <algorithm>

#include "promql/parser/parser.h"
#include "web/json_writer.h"
#include "web/params.h"

namespace narthex::web {
namespace {

// At most ten, then a count of the rest, as upstream cuts them.
void AppendAnnotations(JsonWriter& json, std::string_view key, std::string_view kind,
                       std::vector<std::string> texts) {
  if (texts.empty()) return;
  json.Key(key).BeginArray();
  for (const std::string& text : promql::LimitAnnotations(std::move(texts), kind)) {
    json.String(text);
  }
  json.EndArray();
}

std::string ErrorJson(const Status& status) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject().Key("status").String("error");
  json.Key("errorType").String(ErrorCodeName(status.code()));
  json.Key("error").String(status.message()).EndObject();
  return out;
}

}  // namespace

int HttpStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput: return 400;
    case ErrorCode::kExecution: return 422;
    case ErrorCode::kCanceled: return 499;
    case ErrorCode::kTimeout: return 503;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kLimitExceeded: return 422;
    default: return 500;
  }
}

std::string_view Api::Call::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

Api::Api(ApiOptions options, ApiSources sources, Notifications& notifications,
         ThreadPool& light_pool, ThreadPool& query_pool, Clock& clock)
    : options_(std::move(options)),
      sources_(std::move(sources)),
      notifications_(notifications),
      light_pool_(light_pool),
      query_pool_(query_pool),
      clock_(clock),
      cors_origin_(std::make_unique<re2::RE2>("^(?s:" + options_.cors_origin + ")$")) {}

Api::~Api() = default;

void Api::SetReady(ApiStorage storage) {
  storage_ = storage;
  ready_.store(true, std::memory_order_release);
}

void Api::SetStopping() {
  stopping_.store(true, std::memory_order_release);
}

void Api::AddCors(const net::HttpRequest& request, net::Headers* headers) const {
  headers->Add("Vary", "Origin");
  const std::string_view origin = request.headers.Get("Origin");
  if (origin.empty()) return;
  headers->Add("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin");
  headers->Add("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  if (re2::RE2::FullMatch(re2::StringPiece(origin.data(), origin.size()), *cors_origin_)) {
    headers->Add("Access-Control-Allow-Origin", std::string(origin));
  }
  headers->Add("Access-Control-Expose-Headers", "Date");
}

bool Api::RefuseUnready(net::HttpExchange& exchange) const {
  if (ready() && !stopping()) return false;
  net::HttpResponse response;
  response.status = 503;
  response.headers.Add("X-Prometheus-Stopping", stopping() ? "true" : "false");
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  response.body = "Service Unavailable";
  exchange.Respond(std::move(response));
  return true;
}

void Api::Add(const std::string& prefix, Router& router, std::vector<std::string> methods,
              const std::string& path, Load load, Endpoint endpoint, Mode mode) {
  if (options_.agent && mode == Mode::kServerOnly) {
    endpoint = [](Call&) {
      return Status(ErrorCode::kExecution, "unavailable with Prometheus Agent");
    };
  }
  auto handler = [this, load, mode, endpoint = std::move(endpoint)](
                     std::shared_ptr<net::HttpExchange> exchange,
                     const PathParameters& parameters) {
    if (mode != Mode::kAlways && RefuseUnready(*exchange)) return;
    ThreadPool& pool = load == Load::kQuery ? query_pool_ : light_pool_;
    pool.Submit([this, exchange = std::move(exchange), parameters, &endpoint, mode] {
      Run(exchange, parameters, endpoint, mode);
    });
  };
  router.Handle(std::move(methods), prefix + "/api/v1" + path, std::move(handler));
}

// The envelope around an endpoint. The head is written first, so that large data streams; an error
// is only known before any data has been, since endpoints compute first and render afterwards.
void Api::Run(const std::shared_ptr<net::HttpExchange>& exchange, const PathParameters& parameters,
              const Endpoint& endpoint, Mode mode) {
  const net::HttpRequest& request = exchange->request();
  net::HttpResponse response;
  ContentCoding coding = ContentCoding::kIdentity;
  if (mode != Mode::kAlways) {
    response.headers.Add("Vary", "Accept-Encoding");
    coding = ChooseContentCoding(request.headers.Get("Accept-Encoding"));
  }
  AddCors(request, &response.headers);

  net::HttpResponse no_content = response;
  response.headers.Add("Content-Type", "application/json");
  ResponseWriter writer(exchange, response, coding);
  writer.buffer() = "{\"status\":\"success\",\"data\":";
  Call call{*exchange, request, parameters, writer, {}, {}, false};
  const Status status = endpoint(call);
  if (status.ok() && !call.no_content) {
    std::string tail = "{";
    JsonWriter json(&tail);
    AppendAnnotations(json, "warnings", "warning", std::move(call.warnings));
    AppendAnnotations(json, "infos", "info", std::move(call.infos));
    if (tail.size() > 1) writer.buffer().append(",").append(tail, 1);
    writer.buffer().append("}");
    writer.Finish();
    return;
  }
  if (status.ok()) {
    no_content.status = 204;
    if (coding != ContentCoding::kIdentity) {
      no_content.headers.Add("Content-Encoding", std::string(ContentCodingName(coding)));
    }
    exchange->Respond(std::move(no_content));
    return;
  }
  if (writer.streaming()) return;  // The client sees a broken answer, as it should.
  response.status = HttpStatusOf(status.code());
  ResponseWriter error_writer(exchange, std::move(response), coding);
  error_writer.buffer() = ErrorJson(status);
  error_writer.Finish();
}

void Api::RespondError(const std::shared_ptr<net::HttpExchange>& exchange,
                       const Status& status) const {
  net::HttpResponse response;
  AddCors(exchange->request(), &response.headers);
  response.headers.Add("Content-Type", "application/json");
  response.status = HttpStatusOf(status.code());
  response.body = ErrorJson(status);
  exchange->Respond(std::move(response));
}

Result<std::vector<std::vector<Matcher>>> Api::MatchSets(const std::vector<std::string>& selectors,
                                                         bool require_non_empty) const {
  std::vector<std::vector<Matcher>> sets;
  for (const std::string& selector : selectors) {
    NARTHEX_TRY(std::vector<Matcher> matchers,
                promql::ParseMetricSelector(selector, options_.parser));
    sets.push_back(std::move(matchers));
  }
  if (!require_non_empty) return sets;
  for (const std::vector<Matcher>& matchers : sets) {
    const bool all_match_empty =
        std::all_of(matchers.begin(), matchers.end(),
                    [](const Matcher& matcher) { return matcher.matches_empty(); });
    if (all_match_empty) {
      return Status(ErrorCode::kInvalidInput,
                    "match[] must contain at least one non-empty matcher");
    }
  }
  return sets;
}

void Api::Register(const std::string& prefix, Router& router) {
  router.SetRedirectPrefix(prefix + "/api/v1");
  const auto add = [&](std::vector<std::string> methods, const std::string& path, Load load,
                       Status (Api::*method)(Call&), Mode mode = Mode::kReady) {
    const Endpoint endpoint = [this, method](Call& call) { return (this->*method)(call); };
    Add(prefix, router, std::move(methods), path, load, endpoint, mode);
  };
  const std::vector<std::string> get = {"GET"};
  const std::vector<std::string> get_post = {"GET", "POST"};
  const std::vector<std::string> post_put = {"POST", "PUT"};

  add(get_post, "/query", Load::kQuery, &Api::Query, Mode::kServerOnly);
  add(get_post, "/query_range", Load::kQuery, &Api::QueryRange, Mode::kServerOnly);
  add(get_post, "/query_exemplars", Load::kQuery, &Api::QueryExemplars, Mode::kServerOnly);
  add(get_post, "/query_explain", Load::kQuery, &Api::QueryExplain, Mode::kServerOnly);
  add(get_post, "/format_query", Load::kLight, &Api::FormatQuery, Mode::kServerOnly);
  add(get_post, "/parse_query", Load::kLight, &Api::ParseQueryTree, Mode::kServerOnly);
  add(get_post, "/labels", Load::kQuery, &Api::LabelNames, Mode::kServerOnly);
  add(get, "/label/:name/values", Load::kQuery, &Api::LabelValues, Mode::kServerOnly);
  add(get_post, "/series", Load::kQuery, &Api::SeriesList, Mode::kServerOnly);

  add(get, "/targets", Load::kLight, &Api::Targets);
  add(get, "/targets/metadata", Load::kLight, &Api::TargetsMetadata);
  add(get, "/targets/relabel_steps", Load::kLight, &Api::RelabelSteps);
  add(get, "/metadata", Load::kLight, &Api::MetricMetadata);
  add(get, "/scrape_pools", Load::kLight, &Api::ScrapePools);
  add(get, "/scrape_pools/config", Load::kLight, &Api::ScrapePoolConfig);
  add(get, "/alertmanagers", Load::kLight, &Api::Alertmanagers, Mode::kServerOnly);

  add(get, "/alerts", Load::kLight, &Api::Alerts, Mode::kServerOnly);
  add(get, "/rules", Load::kLight, &Api::Rules, Mode::kServerOnly);

  add(get, "/status/config", Load::kLight, &Api::StatusConfig);
  add(get, "/status/flags", Load::kLight, &Api::StatusFlags);
  add(get, "/status/buildinfo", Load::kLight, &Api::StatusBuildInfo);
  add(get, "/status/runtimeinfo", Load::kLight, &Api::StatusRuntimeInfo);
  add(get, "/status/tsdb", Load::kLight, &Api::StatusTsdb, Mode::kServerOnly);
  add(get, "/status/tsdb/blocks", Load::kLight, &Api::StatusTsdbBlocks, Mode::kServerOnly);
  add(get, "/status/self_metrics", Load::kLight, &Api::StatusSelfMetrics);
  add(get, "/status/walreplay", Load::kLight, &Api::StatusWalReplay, Mode::kAlways);
  add(get, "/features", Load::kLight, &Api::Features);
  add(get, "/notifications", Load::kLight, &Api::NotificationList, Mode::kAlways);
  router.Handle(get, prefix + "/api/v1/notifications/live",
                [this](std::shared_ptr<net::HttpExchange> exchange, const PathParameters&) {
                  NotificationStream(exchange);
                });

  AddSearch(prefix, router);
  AddOpenApi(prefix, router);

  add(post_put, "/admin/tsdb/delete_series", Load::kQuery, &Api::DeleteSeries, Mode::kServerOnly);
  add(post_put, "/admin/tsdb/clean_tombstones", Load::kQuery, &Api::CleanTombstones,
      Mode::kServerOnly);
  add(post_put, "/admin/tsdb/snapshot", Load::kQuery, &Api::Snapshot, Mode::kServerOnly);

  const Endpoint nothing = [](Call& call) {
    call.no_content = true;
    return Status();
  };
  Add(prefix, router, {"OPTIONS"}, "/*path", Load::kLight, nothing, Mode::kReady);
}

}  // namespace narthex::web
