#include "discovery/kuma/kuma_discoverer.h"

#include <unistd.h>

#include "config/sd_mechanisms.h"
#include "discovery/http/api_client.h"
#include "discovery/json_labels.h"
#include "discovery/ticker.h"
#include "net/url.h"
#include "util/log.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr std::string_view kResourceType =
    "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
// Over what the server is asked to take at most.
constexpr int64_t kTimeoutMarginNanos = 15 * kNanosPerSecond;

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 && name[0] != 0 ? name : "prometheus";
}

// Protobuf's JSON has both spellings of a field's name.
std::string TextOf(const json::value& object, std::string_view name, std::string_view camel) {
  const json::value& value = Member(object, name);
  return std::string(AsText(value.is_null() ? Member(object, camel) : value));
}

// What an assignment says of all its targets wins over what a target says of itself.
void AddAssignment(const json::value& assignment, std::vector<TargetLabels>* targets) {
  TextMap common;
  AddLabels(Object(assignment, "labels"), "__meta_kuma_label_", &common);
  common["__meta_kuma_mesh"] = Text(assignment, "mesh");
  common["__meta_kuma_service"] = Text(assignment, "service");
  for (const json::value& target : Array(assignment, "targets")) {
    TextMap labels;
    AddLabels(Object(target, "labels"), "__meta_kuma_label_", &labels);
    for (const auto& [name, value] : common) labels[name] = value;
    const std::string name = Text(target, "name");
    labels["__meta_kuma_dataplane"] = name;
    labels[std::string(kAddressLabel)] = Text(target, "address");
    labels["instance"] = name;
    labels["__scheme__"] = Text(target, "scheme");
    labels["__metrics_path__"] = TextOf(target, "metrics_path", "metricsPath");
    targets->push_back(ToTarget(std::move(labels)));
  }
}

class KumaDiscoverer : public Discoverer {
 public:
  KumaDiscoverer(const KumaSdConfig& config, std::string set_name,
                 DiscoveryEnvironment& environment)
      : set_name_(std::move(set_name)),
        interval_nanos_(config.refresh_interval.nanos),
        client_id_(config.client_id.empty() ? HostName() : config.client_id),
        environment_(environment),
        api_(environment, config.http_client, config.fetch_timeout.nanos + kTimeoutMarginNanos) {
    std::string server = config.server;
    while (server.ends_with('/')) server.pop_back();
    url_ = fmt::format("{}/v3/discovery:monitoringassignments?fetch-timeout={}", server,
                       net::QueryEscape(config.fetch_timeout.ToString()));
  }

  void Start(TargetGroupSink sink) override {
    sink_ = std::move(sink);
    Count("prometheus_sd_kuma_fetch_failures_total", 0);
    Count("prometheus_sd_kuma_fetch_skipped_updates_total", 0);
    running_ = Run();
    running_.Start([](Unit) {});
  }
  void Stop() override {
    running_.Reset();
    sink_ = nullptr;
  }

 private:
  Async<Unit> Run() {
    Ticker ticker(*environment_.loop, interval_nanos_);
    for (;;) {
      const int64_t started = environment_.loop->NowNanos();
      const Status status = co_await Poll();
      if (environment_.metrics != nullptr) {
        const int64_t now = environment_.loop->NowNanos();
        environment_.metrics->Observe("prometheus_sd_kuma_fetch_duration_seconds", {}, now,
                                      now - started);
      }
      if (!status.ok()) {
        Count("prometheus_sd_kuma_fetch_failures_total", 1);
        LOG_ERROR("error parsing resources", {"discovery", "kuma"}, {"config", set_name_},
                  {"err", status.message()});
      }
      co_await ticker.Next();
    }
  }

  // The server answers when there is something newer than the version it is told.
  Async<Status> Poll() {
    json::object question;
    if (!version_.empty()) question["version_info"] = version_;
    question["node"] = json::object{{"id", client_id_}};
    question["type_url"] = std::string(kResourceType);
    if (!nonce_.empty()) question["response_nonce"] = nonce_;
    FetchRequest request = api_.Make("POST", url_, json::serialize(question), "application/json");
    request.headers.emplace_back("Accept", "application/json");
    const Result<FetchResponse> answer = co_await api_.Send(std::move(request));
    if (!answer.ok()) co_return answer.status();
    if (answer->status_code == 304) {
      Count("prometheus_sd_kuma_fetch_skipped_updates_total", 1);
      co_return Status();
    }
    if (answer->status_code != 200) {
      co_return MakeError(ErrorCode::kUnavailable, "non 200 status '{}' response during xDS fetch",
                          answer->status_code);
    }
    co_return Read(answer->body);
  }

  Status Read(const std::string& body) {
    NARTHEX_TRY(const json::object read, ParseJsonObject(body));
    const json::value response = read;
    version_ = TextOf(response, "version_info", "versionInfo");
    nonce_ = Text(response, "nonce");
    const std::string type = TextOf(response, "type_url", "typeUrl");
    if (type != kResourceType) {
      return MakeError(ErrorCode::kInvalidInput,
                       "received invalid typeURL for Kuma MADS v1 Resource: {}", type);
    }
    TargetGroup group;
    group.source = "kuma";
    for (const json::value& resource : Array(response, "resources")) {
      if (const std::string own = Text(resource, "@type"); own != kResourceType) {
        return MakeError(ErrorCode::kInvalidInput, "mismatched message type: got {}, want {}", own,
                         kResourceType);
      }
      AddAssignment(resource, &group.targets);
    }
    sink_({std::make_shared<const TargetGroup>(std::move(group))});
    return {};
  }

  void Count(std::string_view name, double amount) {
    if (environment_.metrics != nullptr) environment_.metrics->Add(name, {}, amount);
  }

  const std::string set_name_;
  const int64_t interval_nanos_;
  const std::string client_id_;
  DiscoveryEnvironment& environment_;
  const ApiClient api_;
  std::string url_;
  std::string version_;  // What was got last, and the word that names that answer.
  std::string nonce_;
  TargetGroupSink sink_;
  Async<Unit> running_;
};

}  // namespace

void RegisterKumaDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<KumaDiscoverer, KumaSdConfig>(registry, "kuma");
}

}  // namespace narthex
