#include "discovery/kubernetes/kubernetes_discoverer.h"

#include <algorithm>
#include <set>

#include "config/sd_mechanisms.h"
#include "discovery/kubernetes/credentials.h"
#include "discovery/kubernetes/groups.h"
#include "discovery/kubernetes/watcher.h"

namespace narthex {

namespace kubernetes {
namespace {

using Change = ObjectStore::Change;

Resource RoleResource(std::string_view role) {
  if (role == "pod") return Resource::kPods;
  if (role == "service") return Resource::kServices;
  if (role == "endpoints") return Resource::kEndpoints;
  if (role == "endpointslice") return Resource::kEndpointSlices;
  if (role == "ingress") return Resource::kIngresses;
  return Resource::kNodes;
}

std::string_view RoleName(Resource resource) {
  switch (resource) {
    case Resource::kPods: return "pod";
    case Resource::kServices: return "service";
    case Resource::kEndpoints: return "endpoints";
    case Resource::kEndpointSlices: return "endpointslice";
    case Resource::kIngresses: return "ingress";
    case Resource::kNodes: return "node";
    default: return "";
  }
}

std::string_view ChangeName(Change change) {
  switch (change) {
    case Change::kAdd: return "add";
    case Change::kUpdate: return "update";
    case Change::kDelete: return "delete";
  }
  return "";
}

// A resource, its store and its watcher.
struct Feed {
  Feed(Resource resource, ObjectStore::Listener listener) : store(resource, std::move(listener)) {}
  ObjectStore store;
  std::unique_ptr<Watcher> watcher;
};

// What is watched for one namespace of the entry (or for all of them at once).
struct Space {
  std::string name;  // Empty: all.
  std::map<Resource, std::unique_ptr<Feed>> feeds;
  std::set<std::string> due;  // Keys of the role's resource.
  // Objects that changed and may be referred to, by resource: looked for when due keys are built,
  // with one pass over the role's objects for all of them.
  std::map<Resource, std::set<std::string>> touched;
};

class KubernetesDiscoverer : public Discoverer {
 public:
  KubernetesDiscoverer(KubernetesSdConfig config, Credentials credentials,
                       DiscoveryEnvironment& environment)
      : config_(std::move(config)),
        credentials_(std::move(credentials)),
        environment_(environment),
        role_(RoleResource(config_.role)),
        api_(environment, credentials_.client, 60 * kNanosPerSecond) {}

  void Start(TargetGroupSink sink) override {
    sink_ = std::move(sink);
    InitializeMetrics();
    const KubernetesAttachMetadata& attach = config_.attach_metadata;
    const bool with_pods = role_ == Resource::kPods || IsEndpoints();
    if (attach.node && with_pods) AddFeed(cluster_, Resource::kNodes);
    if (attach.namespace_ && role_ != Resource::kNodes) AddFeed(cluster_, Resource::kNamespaces);
    for (const std::string& name : Namespaces()) {
      spaces_.push_back(std::make_unique<Space>());
      Space& space = *spaces_.back();
      space.name = name;
      AddFeed(space, role_);
      if (IsEndpoints()) {
        AddFeed(space, Resource::kServices);
        AddFeed(space, Resource::kPods);
      }
      if (with_pods && attach.deployment) AddFeed(space, Resource::kReplicaSets);
      if (with_pods && (attach.job || attach.cronjob)) AddFeed(space, Resource::kJobs);
    }
    for (auto& [resource, feed] : cluster_.feeds) feed->watcher->Start();
    for (const auto& space : spaces_) {
      for (auto& [resource, feed] : space->feeds) feed->watcher->Start();
    }
  }

  void Stop() override {
    environment_.loop->Cancel(flush_timer_);
    // Watchers first: they refer to the stores.
    for (auto& [resource, feed] : cluster_.feeds) feed->watcher.reset();
    for (const auto& space : spaces_) {
      for (auto& [resource, feed] : space->feeds) feed->watcher.reset();
    }
    spaces_.clear();
    cluster_.feeds.clear();
    sink_ = nullptr;
  }

 private:
  bool IsEndpoints() const {
    return role_ == Resource::kEndpoints || role_ == Resource::kEndpointSlices;
  }

  std::vector<std::string> Namespaces() const {
    if (role_ == Resource::kNodes) return {""};
    std::vector<std::string> names = config_.namespaces.names;
    if (config_.namespaces.own_namespace && !credentials_.own_namespace.empty()) {
      names.push_back(credentials_.own_namespace);
    }
    if (names.empty()) names.emplace_back();
    return names;
  }

  void InitializeMetrics() {
    if (environment_.metrics == nullptr) return;
    environment_.metrics->Add("prometheus_sd_kubernetes_failures_total", {}, 0);
    for (const Resource resource :
         {Resource::kEndpointSlices, Resource::kEndpoints, Resource::kNodes, Resource::kPods,
          Resource::kServices, Resource::kIngresses}) {
      for (const Change change : {Change::kAdd, Change::kUpdate, Change::kDelete}) {
        Count(resource, change, 0);
      }
    }
  }

  void Count(Resource resource, Change change, double amount = 1) {
    if (environment_.metrics == nullptr) return;
    environment_.metrics->Add(
        "prometheus_sd_kubernetes_events_total",
        {{"role", std::string(RoleName(resource))}, {"event", std::string(ChangeName(change))}},
        amount);
  }

  void AddFeed(Space& space, Resource resource) {
    auto feed = std::make_unique<Feed>(
        resource, [this, &space, resource](Change change, const std::string& key,
                                           const json::value* before, const json::value* after) {
          OnChange(space, resource, change, key, before, after);
        });
    WatchTarget target;
    target.base_url = credentials_.base_url;
    target.space = space.name;
    for (const KubernetesSelector& selector : config_.selectors) {
      // The role's own name; owners and namespaces have no selectors.
      if (selector.role != RoleName(resource)) continue;
      target.label_selector = selector.label;
      target.field_selector = selector.field;
    }
    feed->watcher = std::make_unique<Watcher>(api_, std::move(target), feed->store,
                                              [this] { ScheduleFlush(); });
    space.feeds[resource] = std::move(feed);
  }

  void OnChange(Space& space, Resource resource, Change change, const std::string& key,
                const json::value* before, const json::value* after) {
    // Upstream counts those that it reacts to.
    const bool counted =
        resource == role_ || (IsEndpoints() && resource == Resource::kServices) ||
        (role_ == Resource::kEndpoints && resource == Resource::kPods && change == Change::kUpdate);
    if (counted) Count(resource, change);
    if (before != nullptr && after != nullptr) {
      // Of nodes to attach only labels and annotations matter, not their heartbeats.
      const bool attached = &space == &cluster_;
      const bool same =
          attached ? Member(*before, "metadata") == Member(*after, "metadata") : *before == *after;
      if (same) return;
    }
    if (resource == role_) {
      space.due.insert(key);
    } else if (resource == Resource::kPods && change == Change::kUpdate) {
      // Readiness reaches us through the endpoints; the phase alone may not.
      const auto phase = [](const json::value* pod) {
        return Text(Member(*pod, "status"), "phase");
      };
      if (phase(before) == phase(after)) return;
      space.touched[resource].insert(key);
    } else if (&space == &cluster_) {
      for (const auto& other : spaces_) other->touched[resource].insert(key);
    } else {
      space.touched[resource].insert(key);
    }
    ScheduleFlush();
  }

  void ScheduleFlush() {
    if (flush_timer_ != 0) return;
    flush_timer_ = environment_.loop->PostAfter(0, [this] {
      flush_timer_ = 0;
      Flush();
    });
  }

  static bool Synced(const Space& space) {
    return std::all_of(space.feeds.begin(), space.feeds.end(),
                       [](const auto& entry) { return entry.second->watcher->synced(); });
  }

  void Flush() {
    if (!Synced(cluster_)) return;
    std::vector<TargetGroupPtr> update;
    for (const auto& space : spaces_) {
      if (Synced(*space)) FlushSpace(*space, &update);
    }
    if (!update.empty()) sink_(std::move(update));
  }

  void FlushSpace(Space& space, std::vector<TargetGroupPtr>* update) {
    const ObjectStore& objects = space.feeds.at(role_)->store;
    if (!space.touched.empty()) {
      objects.ForEach([&](const std::string& key, const json::value& object) {
        if (Refers(space, key, object)) space.due.insert(key);
      });
      space.touched.clear();
    }
    const Joins joins = MakeJoins(space);
    for (const std::string& key : space.due) {
      const json::value* object = objects.Find(key);
      if (object == nullptr) {
        auto gone = std::make_shared<TargetGroup>();
        gone->source = SourceOf(role_, key);
        update->push_back(std::move(gone));
      } else if (std::optional<TargetGroup> group = BuildGroup(role_, key, *object, joins)) {
        update->push_back(std::make_shared<const TargetGroup>(*std::move(group)));
      }
    }
    space.due.clear();
  }

  Joins MakeJoins(const Space& space) const {
    const auto find = [](const Space& where, Resource resource) -> const ObjectStore* {
      const auto found = where.feeds.find(resource);
      return found == where.feeds.end() ? nullptr : &found->second->store;
    };
    Joins joins;
    joins.pods = find(space, Resource::kPods);
    joins.services = find(space, Resource::kServices);
    joins.nodes = find(cluster_, Resource::kNodes);
    joins.namespaces = find(cluster_, Resource::kNamespaces);
    joins.replica_sets = find(space, Resource::kReplicaSets);
    joins.jobs = find(space, Resource::kJobs);
    joins.job_names = config_.attach_metadata.job;
    joins.cron_job_names = config_.attach_metadata.cronjob;
    return joins;
  }

  // Whether an object of the role refers to anything that was touched.
  bool Refers(const Space& space, const std::string& key, const json::value& object) const {
    const auto touched = [&](Resource resource, const std::string& name) {
      const auto found = space.touched.find(resource);
      return found != space.touched.end() && found->second.contains(name);
    };
    const json::value& metadata = Member(object, "metadata");
    const std::string name_space = Text(metadata, "namespace");
    if (touched(Resource::kNamespaces, name_space)) return true;
    if (role_ == Resource::kEndpoints && touched(Resource::kServices, key)) return true;
    if (role_ == Resource::kEndpointSlices) {
      const std::string service = Text(Member(metadata, "labels"), "kubernetes.io/service-name");
      if (touched(Resource::kServices, name_space + "/" + service)) return true;
      for (const json::value& endpoint : Array(object, "endpoints")) {
        if (RefersByAddress(space, endpoint)) return true;
      }
    }
    for (const json::value& subset : Array(object, "subsets")) {
      for (const std::string_view list : {"addresses", "notReadyAddresses"}) {
        for (const json::value& address : Array(subset, list)) {
          if (RefersByAddress(space, address)) return true;
        }
      }
    }
    if (role_ != Resource::kPods) return false;
    return touched(Resource::kNodes, Text(Member(object, "spec"), "nodeName")) ||
           OwnerTouched(space, object);
  }

  bool OwnerTouched(const Space& space, const json::value& pod) const {
    const json::value& owner = ControllerOf(pod);
    const std::string kind = Text(owner, "kind");
    const auto found = space.touched.find(kind == "Job" ? Resource::kJobs : Resource::kReplicaSets);
    return found != space.touched.end() &&
           found->second.contains(Text(Member(pod, "metadata"), "namespace") + "/" +
                                  Text(owner, "name"));
  }

  // An address of endpoints, or an endpoint of a slice: both name a node and a reference.
  bool RefersByAddress(const Space& space, const json::value& address) const {
    const json::value& ref = Member(address, "targetRef");
    const std::string kind = Text(ref, "kind");
    for (const auto& [resource, keys] : space.touched) {
      if (resource == Resource::kNodes) {
        if (keys.contains(Text(address, "nodeName"))) return true;
        if (kind == "Node" && keys.contains(Text(ref, "name"))) return true;
      }
      if (kind != "Pod") continue;
      const std::string pod_key = Text(ref, "namespace") + "/" + Text(ref, "name");
      if (resource == Resource::kPods && keys.contains(pod_key)) return true;
      if (resource == Resource::kReplicaSets || resource == Resource::kJobs) {
        const json::value* pod = space.feeds.at(Resource::kPods)->store.Find(pod_key);
        if (pod != nullptr && OwnerTouched(space, *pod)) return true;
      }
    }
    return false;
  }

  const KubernetesSdConfig config_;
  const Credentials credentials_;
  DiscoveryEnvironment& environment_;
  const Resource role_;
  const ApiClient api_;
  TargetGroupSink sink_;
  Space cluster_;  // Nodes and namespaces to attach.
  std::vector<std::unique_ptr<Space>> spaces_;
  TaskLoop::TimerId flush_timer_ = 0;
};

}  // namespace
}  // namespace kubernetes

void RegisterKubernetesDiscovery(DiscoveryRegistry& registry) {
  registry.Register("kubernetes",
                    [](const SdConfig& entry, const std::string&,
                       DiscoveryEnvironment& environment) -> Result<std::unique_ptr<Discoverer>> {
                      if (environment.http == nullptr) {
                        return MakeError(ErrorCode::kUnsupported, "there is no HTTP client");
                      }
                      const KubernetesSdConfig& config = *entry.As<KubernetesSdConfig>();
                      NARTHEX_TRY(kubernetes::Credentials credentials,
                                  kubernetes::FindCredentials(config, *environment.files));
                      return std::unique_ptr<Discoverer>(new kubernetes::KubernetesDiscoverer(
                          config, std::move(credentials), environment));
                    });
}

}  // namespace narthex
