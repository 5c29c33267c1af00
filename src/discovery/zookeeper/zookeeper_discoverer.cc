#include "discovery/zookeeper/zookeeper_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/zookeeper/tree_watcher.h"
#include "util/json_reader.h"
#include "util/log.h"
#include "util/time.h"

namespace narthex {

namespace {

constexpr int64_t kRetryNanos = 10 * kNanosPerSecond;

// The labels of a node whose data describes a member; an error when it does not.
using ParseMember = Result<TextMap> (*)(const std::string& data, const std::string& path);

// As Go's decoder refuses members of another kind; null and absent ones count as empty.
bool IsText(const json::value& value) {
  return value.is_null() || value.is_string();
}
bool IsInteger(const json::value& value) {
  return value.is_null() || value.is_int64() || value.is_uint64();
}
bool IsObject(const json::value& value) {
  return value.is_null() || value.is_object();
}
Status Refused(std::string_view what) {
  return MakeError(ErrorCode::kInvalidInput, "json: cannot unmarshal {}", what);
}
Status CheckEndpoint(const json::value& endpoint) {
  if (IsObject(endpoint) && IsText(Member(endpoint, "host")) &&
      IsInteger(Member(endpoint, "port"))) {
    return {};
  }
  return Refused("an endpoint");
}

Result<TextMap> ParseServersetMember(const std::string& data, const std::string& path) {
  NARTHEX_TRY(const json::object member, ParseJsonObject(data));
  const json::value& endpoint = Member(member, "serviceEndpoint");
  NARTHEX_RETURN_IF_ERROR(CheckEndpoint(endpoint));
  if (!IsText(Member(member, "status")) || !IsInteger(Member(member, "shard")) ||
      !IsObject(Member(member, "additionalEndpoints"))) {
    return Refused("a member");
  }
  const std::string host = Text(endpoint, "host");
  const std::string port = std::to_string(Int(endpoint, "port"));
  TextMap labels = {{std::string(kAddressLabel), JoinHostPort(host, port)},
                    {"__meta_serverset_endpoint_host", host},
                    {"__meta_serverset_endpoint_port", port},
                    {"__meta_serverset_path", path},
                    {"__meta_serverset_shard", std::to_string(Int(member, "shard"))},
                    {"__meta_serverset_status", Text(member, "status")}};
  for (const auto& [name, other] : Object(member, "additionalEndpoints")) {
    NARTHEX_RETURN_IF_ERROR(CheckEndpoint(other));
    const std::string suffix = SanitizeLabelName(name);
    labels["__meta_serverset_endpoint_host_" + suffix] = Text(other, "host");
    labels["__meta_serverset_endpoint_port_" + suffix] = std::to_string(Int(other, "port"));
  }
  return labels;
}

Result<TextMap> ParseNerveMember(const std::string& data, const std::string& path) {
  NARTHEX_TRY(const json::object read, ParseJsonObject(data));
  const json::value member = read;
  NARTHEX_RETURN_IF_ERROR(CheckEndpoint(member));
  if (!IsText(Member(member, "name"))) return Refused("a member");
  const std::string host = Text(member, "host");
  const std::string port = std::to_string(Int(member, "port"));
  return TextMap{{std::string(kAddressLabel), JoinHostPort(host, port)},
                 {"__meta_nerve_endpoint_host", host},
                 {"__meta_nerve_endpoint_name", Text(member, "name")},
                 {"__meta_nerve_endpoint_port", port},
                 {"__meta_nerve_path", path}};
}

// One group a node, whose source is its path.
class ZookeeperDiscoverer : public Discoverer {
 public:
  ZookeeperDiscoverer(std::vector<std::string> servers, std::vector<std::string> paths,
                      int64_t timeout_nanos, ParseMember parse, std::string mechanism,
                      DiscoveryEnvironment& environment)
      : servers_(std::move(servers)),
        paths_(std::move(paths)),
        timeout_nanos_(timeout_nanos),
        parse_(parse),
        mechanism_(std::move(mechanism)),
        environment_(environment),
        shared_(std::make_shared<Shared>()) {}

  ~ZookeeperDiscoverer() override { Stop(); }

  void Start(TargetGroupSink sink) override {
    shared_->sink = std::move(sink);
    CountFailure(environment_.metrics, 0);
    ZookeeperTreeWatcher::Callbacks callbacks;
    callbacks.changed = [shared = shared_, loop = environment_.loop,
                         parse = parse_](const std::vector<ZookeeperTreeWatcher::Change>& changes) {
      std::vector<TargetGroupPtr> groups;
      for (const ZookeeperTreeWatcher::Change& change : changes) {
        auto group = std::make_shared<TargetGroup>();
        group->source = change.path;
        // Nodes in between, and those that do not read as a member, are no targets.
        if (change.data) {
          if (Result<TextMap> labels = parse(*change.data, change.path); labels.ok()) {
            group->targets.push_back(ToTarget(*std::move(labels)));
          }
        }
        groups.push_back(std::move(group));
      }
      loop->Post([shared, groups = std::move(groups)] {
        if (shared->sink) shared->sink(groups);
      });
    };
    callbacks.failed = [metrics = environment_.metrics,
                        mechanism = mechanism_](const Status& status) {
      CountFailure(metrics, 1);
      LOG_ERROR("Error during Zookeeper resync", {"discovery", mechanism},
                {"err", status.message()});
    };
    watcher_ = std::make_unique<ZookeeperTreeWatcher>(servers_, paths_, timeout_nanos_, kRetryNanos,
                                                      std::move(callbacks));
  }

  void Stop() override {
    watcher_.reset();
    shared_->sink = nullptr;
  }

 private:
  struct Shared {  // On the loop only.
    TargetGroupSink sink;
  };

  static void CountFailure(SdMetrics* metrics, double amount) {
    if (metrics != nullptr) {
      metrics->Add("prometheus_treecache_zookeeper_failures_total", {}, amount);
    }
  }

  const std::vector<std::string> servers_;
  const std::vector<std::string> paths_;
  const int64_t timeout_nanos_;
  const ParseMember parse_;
  const std::string mechanism_;
  DiscoveryEnvironment& environment_;
  const std::shared_ptr<Shared> shared_;
  std::unique_ptr<ZookeeperTreeWatcher> watcher_;
};

template <typename Config>
void Register(DiscoveryRegistry& registry, const std::string& mechanism, ParseMember parse) {
  registry.Register(
      mechanism,
      [mechanism, parse](const SdConfig& config, const std::string&,
                         DiscoveryEnvironment& environment) -> Result<std::unique_ptr<Discoverer>> {
        const Config& entry = *config.As<Config>();
        return std::unique_ptr<Discoverer>(std::make_unique<ZookeeperDiscoverer>(
            entry.servers, entry.paths, entry.timeout.nanos, parse, mechanism, environment));
      });
}

}  // namespace

void RegisterZookeeperDiscovery(DiscoveryRegistry& registry) {
  Register<ServersetSdConfig>(registry, "serverset", ParseServersetMember);
  Register<NerveSdConfig>(registry, "nerve", ParseNerveMember);
}

}  // namespace narthex
