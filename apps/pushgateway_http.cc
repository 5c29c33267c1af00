#include "apps/pushgateway_http.h"

#include <fmt/format.h>

#include <utility>

#include "apps/pushgateway_json.h"
#include "exposition/content_type.h"
#include "narthex/client/exposition.h"
#include "narthex/client/text_reader.h"
#include "net/forwarding_exchange.h"
#include "push/family_proto.h"
#include "push/gather.h"
#include "push/page/page.h"
#include "util/compress.h"
#include "util/log.h"
#include "util/strings.h"
#include "web/response_writer.h"

namespace narthex::apps {
namespace {

constexpr std::string_view kTtlHeader = "X-Push-TTL";
constexpr std::string_view kModeParameter = "mode=aggregate";
const std::vector<client::Objective> kObjectives = {{0.1, 0.01}, {0.5, 0.05}, {0.9, 0.01}};

// Counts the answer, whoever gives it and whenever.
class CountedExchange : public net::ForwardingExchange {
 public:
  using Observe = std::function<void(int status)>;
  CountedExchange(std::shared_ptr<net::HttpExchange> inner, Observe observe)
      : ForwardingExchange(std::move(inner)), observe_(std::move(observe)) {}

  void Respond(net::HttpResponse response) override {
    observe_(response.status);
    ForwardingExchange::Respond(std::move(response));
  }
  void StartStream(net::HttpResponse response) override {
    observe_(response.status);
    ForwardingExchange::StartStream(std::move(response));
  }

 private:
  const Observe observe_;
};

std::string_view Parameter(const web::PathParameters& parameters, std::string_view name) {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

void RespondEmpty(net::HttpExchange& exchange, int status) {
  net::HttpResponse response;
  response.status = status;
  exchange.Respond(std::move(response));
}

void RespondJson(net::HttpExchange& exchange, std::string body) {
  net::HttpResponse response;
  response.headers.Add("Content-Type", "application/json");
  response.headers.Add("Access-Control-Allow-Headers",
                       "Accept, Authorization, Content-Type, Origin");
  response.headers.Add("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  response.headers.Add("Access-Control-Allow-Origin", "*");
  response.headers.Add("Access-Control-Expose-Headers", "Date");
  response.headers.Add("Cache-Control", "no-cache, no-store, must-revalidate");
  response.body = std::move(body);
  exchange.Respond(std::move(response));
}

// Text without the line end that http.Error adds.
void RespondBare(net::HttpExchange& exchange, int status, std::string_view text) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::string(text);
  exchange.Respond(std::move(response));
}

bool IsDelimitedProtobuf(std::string_view content_type) {
  const Result<exposition::MediaType> media = exposition::ParseMediaType(content_type);
  if (!media.ok() || media->type != "application/vnd.google.protobuf") return false;
  // The parameters, in any order, quoted or not.
  std::string bare;
  for (const char c : content_type) {
    if (c != ' ' && c != '"' && c != '\t') bare.push_back(c);
  }
  bare += ";";
  return bare.find(";proto=io.prometheus.client.MetricFamily;") != std::string::npos &&
         bare.find(";encoding=delimited;") != std::string::npos;
}

int StatusOf(const Status& status) {
  if (status.code() == ErrorCode::kLimitExceeded) return 413;
  return status.code() == ErrorCode::kInvalidInput ? 400 : 500;
}

}  // namespace

PushMetrics::PushMetrics(client::Registry& registry)
    : requests(registry,
               {"pushgateway_http_requests_total",
                "HTTP requests processed by the Pushgateway, except scrapes."},
               {"handler", "code", "method"}),
      sizes(registry, {"pushgateway_http_push_size_bytes", "Size of pushes in bytes."}, {"method"},
            {.objectives = kObjectives}),
      durations(registry,
                {"pushgateway_http_push_duration_seconds", "How long pushes take, in seconds."},
                {"method"}, {.objectives = kObjectives}) {}

PushHttp::PushHttp(PushHttpOptions options, client::Registry& registry, PushMetrics& metrics,
                   push::Store& store)
    : options_(std::move(options)),
      registry_(registry),
      metrics_(metrics),
      store_(store),
      start_nanos_(Clock::System().NowNanos()) {
  AddPushRoutes();
  AddLifecycle();
  AddPages();
  AddApi();
}

PushHttp::~PushHttp() = default;

void PushHttp::Add(std::vector<std::string> methods, const std::string& path, std::string handler,
                   ThreadPool& pool,
                   std::function<void(const Exchange&, const web::PathParameters&)> serve) {
  router_.Handle(
      std::move(methods), options_.route_prefix + path,
      [this, &pool, handler = std::move(handler), serve = std::move(serve)](
          std::shared_ptr<net::HttpExchange> exchange, const web::PathParameters& parameters) {
        const std::string method = ToLower(exchange->request().method);
        auto counted = std::make_shared<CountedExchange>(
            std::move(exchange), [this, handler, method](int status) {
              metrics_.requests.WithLabels({handler, std::to_string(status), method}).Inc();
            });
        pool.Submit(
            [serve, counted = std::move(counted), parameters] { serve(counted, parameters); });
      });
}

void PushHttp::AddPushRoutes() {
  const std::pair<const char*, Verb> kVerbs[] = {
      {"PUT", Verb::kPut}, {"POST", Verb::kPost}, {"DELETE", Verb::kDelete}};
  for (const bool base64 : {false, true}) {
    for (const char* rest : {"", "/*labels"}) {
      const std::string path =
          std::string(base64 ? "/metrics/job@base64/:job" : "/metrics/job/:job") + rest;
      for (const auto& [method, verb] : kVerbs) {
        Add({method}, path, verb == Verb::kDelete ? "delete" : "push", push_pool_,
            [this, push_verb = verb, base64](const Exchange& exchange,
                                             const web::PathParameters& parameters) {
              Push(exchange, parameters, push_verb, base64);
            });
      }
    }
  }
  router_.Handle({"GET"}, options_.route_prefix + options_.telemetry_path,
                 [this](std::shared_ptr<net::HttpExchange> exchange, const web::PathParameters&) {
                   light_pool_.Submit([this, exchange] { ServeMetrics(*exchange); });
                 });
}

Result<std::vector<client::MetricFamily>> PushHttp::ReadBody(
    const net::HttpRequest& request) const {
  std::string unpacked;
  std::string_view body = request.body;
  const std::string coding = ToLower(request.headers.Get("Content-Encoding"));
  if (coding == "gzip") {
    NARTHEX_TRY(unpacked, GzipDecompress(body, options_.body_bytes_max));
    body = unpacked;
  } else if (coding == "snappy") {
    NARTHEX_TRY(unpacked, SnappyFramedDecompress(body, options_.body_bytes_max));
    body = unpacked;
  }
  if (IsDelimitedProtobuf(request.headers.Get("Content-Type"))) return push::DecodeFamilies(body);
  auto families = client::ReadText(
      body, options_.utf8_names ? client::NameValidation::kUtf8 : client::NameValidation::kLegacy);
  if (!families.ok()) return Status(ErrorCode::kInvalidInput, families.status().message());
  return *std::move(families);
}

void PushHttp::Push(const Exchange& exchange, const web::PathParameters& parameters, Verb verb,
                    bool job_base64) {
  const int64_t start_nanos = MonotonicNanos();
  const net::HttpRequest& request = exchange->request();
  push::PushRequest push;
  push.kind = verb == Verb::kPut    ? push::PushRequest::Kind::kReplace
              : verb == Verb::kPost ? push::PushRequest::Kind::kMerge
                                    : push::PushRequest::Kind::kDelete;
  const Status status = [&]() -> Status {
    NARTHEX_TRY(push.labels,
                push::ParsePushPath(Parameter(parameters, "job"), Parameter(parameters, "labels"),
                                    {job_base64, options_.utf8_names}));
    if (verb == Verb::kDelete) return {};
    if (request.query == kModeParameter) {
      if (!options_.aggregation) {
        return Status(ErrorCode::kInvalidInput,
                      "aggregation is not enabled, see --push.enable-aggregation");
      }
      push.kind = push::PushRequest::Kind::kAggregate;
    }
    if (const std::string_view ttl = request.headers.Get(kTtlHeader); !ttl.empty()) {
      const Result<int64_t> nanos = ParseDuration(ttl);
      if (!nanos.ok()) return nanos.status().WithPrefix(std::string(kTtlHeader) + ": ");
      push.ttl_nanos = *nanos;
    }
    NARTHEX_TRY(push.families, ReadBody(request));
    return {};
  }();
  const std::string method = ToLower(request.method);
  if (verb != Verb::kDelete) {
    metrics_.sizes.WithLabels({method}).Observe(static_cast<double>(request.body.size()));
  }
  if (!status.ok()) {
    LOG_DEBUG("failed to parse push", {"source", request.remote_address},
              {"err", status.message()});
    web::RespondPlain(*exchange, StatusOf(status), status.message());
    return;
  }
  push.done = [this, exchange, verb, method, start_nanos](const Status& verdict) {
    if (verb != Verb::kDelete) {
      metrics_.durations.WithLabels({method}).Observe(
          static_cast<double>(MonotonicNanos() - start_nanos) / 1e9);
    }
    const bool pushed_badly = !verdict.ok() && verdict.code() == ErrorCode::kInvalidInput;
    if (verdict.ok() || (pushed_badly && !options_.check)) {
      RespondEmpty(*exchange, verb == Verb::kDelete || !options_.check ? 202 : 200);
      return;
    }
    LOG_ERROR("pushed metrics are invalid or inconsistent with existing metrics",
              {"method", exchange->request().method},
              {"source", exchange->request().remote_address}, {"err", verdict.message()});
    web::RespondPlain(
        *exchange, StatusOf(verdict),
        (pushed_badly ? "pushed metrics are invalid or inconsistent with existing metrics: "
                      : std::string()) +
            verdict.message());
  };
  store_.Submit(std::move(push));
}

void PushHttp::ServeMetrics(net::HttpExchange& exchange) {
  const client::GatherResult own = registry_.Gather();
  push::GatheredPage page = push::Gather(own.families, store_.groups());
  if (!page.errors.empty()) {
    web::RespondPlain(exchange, 500,
                      "An error has occurred while serving metrics:\n\n" + page.error_text());
    return;
  }
  const net::HttpRequest& request = exchange.request();
  const client::Format format =
      client::Negotiate(request.headers.Get("Accept"), client::OpenMetricsFormats());
  net::HttpResponse response;
  response.headers.Add("Content-Type", format.ContentType());
  for (const client::MetricFamily& family : page.families) {
    const size_t before = response.body.size();
    if (const client::Status status = client::Encode(family, format, response.body); !status.ok()) {
      response.body.resize(before);
      LOG_ERROR("error encoding and sending metric family", {"err", status.message()});
    }
  }
  client::Finish(format, response.body);
  if (web::ChooseContentCoding(request.headers.Get("Accept-Encoding")) ==
      web::ContentCoding::kGzip) {
    response.headers.Add("Content-Encoding", "gzip");
    response.body = GzipCompress(response.body, 1);
  }
  exchange.Respond(std::move(response));
}

void PushHttp::AddLifecycle() {
  for (const char* name : {"healthy", "ready"}) {
    Add({"GET"}, std::string("/-/") + name, name, light_pool_,
        [this](const Exchange& exchange, const web::PathParameters&) {
          const Status status = store_.Healthy();
          if (status.ok()) {
            RespondBare(*exchange, 200, "OK");
          } else {
            web::RespondPlain(*exchange, 500, status.message());
          }
        });
  }
  router_.Handle({"PUT", "POST"}, options_.route_prefix + "/-/quit",
                 [this](std::shared_ptr<net::HttpExchange> exchange, const web::PathParameters&) {
                   if (!options_.enable_lifecycle) {
                     RespondBare(*exchange, 403, "Lifecycle API is not enabled.");
                     return;
                   }
                   RespondBare(*exchange, 200, "Requesting termination... Goodbye!");
                   options_.quit();
                 });
  router_.Handle({"GET"}, "/-/quit",
                 [](std::shared_ptr<net::HttpExchange> exchange, const web::PathParameters&) {
                   RespondBare(*exchange, 405, "Only POST or PUT requests allowed.");
                 });
}

void PushHttp::AddPages() {
  const auto page = [this](const Exchange& exchange, const web::PathParameters&) {
    net::HttpResponse response;
    response.headers.Add("Content-Type", "text/html; charset=utf-8");
    response.headers.Add(
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'");
    response.body = push::PageHtml(options_.enable_admin);
    exchange->Respond(std::move(response));
  };
  for (const char* path : {"/", "/status"}) Add({"GET"}, path, "status", light_pool_, page);
  Add({"GET"}, "/static/*file", "static", light_pool_,
      [](const Exchange& exchange, const web::PathParameters& parameters) {
        const auto file = push::FindPageFile(Parameter(parameters, "file"));
        if (!file) {
          web::RespondPlain(*exchange, 404, "404 page not found");
          return;
        }
        net::HttpResponse response;
        response.headers.Add("Content-Type", std::string(file->content_type));
        response.body = std::string(file->content);
        exchange->Respond(std::move(response));
      });
}

void PushHttp::AddApi() {
  Add({"GET"}, "/api/v1/status", "api/v1/status", light_pool_,
      [this](const Exchange& exchange, const web::PathParameters&) {
        RespondJson(*exchange, PushStatusJson(options_.flags, start_nanos_));
      });
  Add({"GET"}, "/api/v1/metrics", "api/v1/metrics", light_pool_,
      [this](const Exchange& exchange, const web::PathParameters&) {
        RespondJson(*exchange, PushedMetricsJson(store_.groups()));
      });
  if (options_.enable_admin) {
    Add({"PUT"}, "/api/v1/admin/wipe", "wipe", push_pool_,
        [this](const Exchange& exchange, const web::PathParameters&) {
          push::PushRequest wipe;
          wipe.kind = push::PushRequest::Kind::kWipe;
          wipe.done = [exchange](const Status& status) {
            if (status.ok()) {
              RespondEmpty(*exchange, 202);
            } else {
              web::RespondPlain(*exchange, StatusOf(status), status.message());
            }
          };
          store_.Submit(std::move(wipe));
        });
  }
  Add({"OPTIONS"}, "/api/v1/*path", "api/v1/options", light_pool_,
      [](const Exchange& exchange, const web::PathParameters&) { RespondJson(*exchange, ""); });
}

}  // namespace narthex::apps
