#include "discovery/static/static_discoverer.h"

namespace narthex {

namespace {

class StaticDiscoverer : public Discoverer {
 public:
  explicit StaticDiscoverer(SdConfig config) : config_(std::move(config)) {}

  void Start(TargetGroupSink sink) override {
    std::vector<TargetGroupPtr> groups;
    for (const StaticGroup& from : config_.As<StaticSdConfig>()->groups) {
      auto group = std::make_shared<TargetGroup>();
      group->source = std::to_string(groups.size());
      group->labels = from.labels;
      for (const std::string& target : from.targets) {
        group->targets.push_back(AddressOnly(target));
      }
      groups.push_back(std::move(group));
    }
    sink(std::move(groups));
  }
  void Stop() override {}

 private:
  const SdConfig config_;
};

}  // namespace

void RegisterStaticDiscovery(DiscoveryRegistry& registry) {
  registry.Register("static",
                    [](const SdConfig& config, const std::string&,
                       DiscoveryEnvironment&) -> Result<std::unique_ptr<Discoverer>> {
                      return std::unique_ptr<Discoverer>(new StaticDiscoverer(config));
                    });
}

}  // namespace narthex
