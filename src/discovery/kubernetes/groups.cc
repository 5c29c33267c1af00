#include "discovery/kubernetes/groups.h"

#include "util/log.h"
#include "util/strings.h"

namespace narthex::kubernetes {

namespace {

constexpr std::string_view kPrefix = "__meta_kubernetes_";
constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";
constexpr std::string_view kOverCapacity = "endpoints.kubernetes.io/over-capacity";
const json::value kNull;

void Set(TextMap& labels, std::string_view name, std::string_view value) {
  labels[fmt::format("{}{}", kPrefix, name)] = value;
}
// Optional members set their label only when they are there.
void SetIfThere(TextMap& labels, std::string_view name, const json::value& value) {
  if (!value.is_null()) Set(labels, name, AsPrinted(value));
}

std::string NameOf(const json::value& object) {
  return Text(Member(object, "metadata"), "name");
}
std::string SpaceOf(const json::value& object) {
  return Text(Member(object, "metadata"), "namespace");
}

void AddLabelsAndAnnotations(TextMap& labels, const json::value& object, std::string_view role) {
  const json::value& metadata = Member(object, "metadata");
  for (const auto& [member, kind] :
       {std::pair<std::string_view, std::string_view>{"labels", "label"},
        {"annotations", "annotation"}}) {
    for (const auto& [name, value] : Object(metadata, member)) {
      const std::string key = SanitizeLabelName(name);
      Set(labels, fmt::format("{}_{}_{}", role, kind, key), AsText(value));
      Set(labels, fmt::format("{}_{}present_{}", role, kind, key), "true");
    }
  }
}

void AddMetadata(TextMap& labels, const json::value& object, std::string_view role) {
  Set(labels, fmt::format("{}_name", role), NameOf(object));
  AddLabelsAndAnnotations(labels, object, role);
}

void AddNode(TextMap& labels, const Joins& joins, const json::value& name) {
  if (joins.nodes == nullptr || name.is_null()) return;
  const json::value* node = joins.nodes->Find(std::string(AsText(name)));
  if (node != nullptr) AddMetadata(labels, *node, "node");
}

void AddNamespace(TextMap& labels, const Joins& joins, const std::string& name) {
  if (joins.namespaces == nullptr) return;
  const json::value* found = joins.namespaces->Find(name);
  if (found != nullptr) AddLabelsAndAnnotations(labels, *found, "namespace");
}

void AddService(TextMap& labels, const json::value& service) {
  Set(labels, "namespace", SpaceOf(service));
  AddMetadata(labels, service, "service");
}

// ---- pods ---------------------------------------------------------------------------------------

std::string PodReady(const json::value& pod) {
  for (const json::value& condition : Array(Member(pod, "status"), "conditions")) {
    if (Text(condition, "type") == "Ready") return ToLower(Text(condition, "status"));
  }
  return "unknown";
}

void AddController(TextMap& labels, const json::value& pod, const Joins& joins) {
  const json::value& owner = ControllerOf(pod);
  const std::string kind = Text(owner, "kind");
  const std::string name = Text(owner, "name");
  if (!kind.empty()) Set(labels, "pod_controller_kind", kind);
  if (!name.empty()) Set(labels, "pod_controller_name", name);
  // The owner's owner, if it is of that kind.
  const auto add_grand = [&](const ObjectStore* store, std::string_view wanted,
                             std::string_view label) {
    const json::value* found = store == nullptr ? nullptr : store->Find(SpaceOf(pod) + "/" + name);
    if (found == nullptr) return;
    const json::value& grand = ControllerOf(*found);
    if (Text(grand, "kind") == wanted) Set(labels, label, Text(grand, "name"));
  };
  if (kind == "ReplicaSet") add_grand(joins.replica_sets, "Deployment", "pod_deployment_name");
  if (kind == "Job") {
    if (joins.job_names) Set(labels, "pod_job_name", name);
    if (joins.cron_job_names) add_grand(joins.jobs, "CronJob", "pod_cronjob_name");
  }
}

void AddPod(TextMap& labels, const json::value& pod, const Joins& joins) {
  const json::value& status = Member(pod, "status");
  Set(labels, "pod_ip", Text(status, "podIP"));
  Set(labels, "pod_ready", PodReady(pod));
  Set(labels, "pod_phase", Text(status, "phase"));
  Set(labels, "pod_node_name", Text(Member(pod, "spec"), "nodeName"));
  Set(labels, "pod_host_ip", Text(status, "hostIP"));
  Set(labels, "pod_uid", Text(Member(pod, "metadata"), "uid"));
  AddMetadata(labels, pod, "pod");
  AddController(labels, pod, joins);
}

// Containers in order, init containers last: visit(container, is_init).
template <typename F>
void ForEachContainer(const json::value& pod, F visit) {
  const json::value& spec = Member(pod, "spec");
  for (const json::value& container : Array(spec, "containers")) visit(container, false);
  for (const json::value& container : Array(spec, "initContainers")) visit(container, true);
}

// The labels of a container's port; `protocol` and number as given.
void AddPort(TextMap& labels, const json::value& container, bool is_init, const json::value& port,
             std::string_view protocol) {
  Set(labels, "pod_container_name", Text(container, "name"));
  Set(labels, "pod_container_image", Text(container, "image"));
  Set(labels, "pod_container_port_name", Text(port, "name"));
  Set(labels, "pod_container_port_number", std::to_string(Int(port, "containerPort")));
  Set(labels, "pod_container_port_protocol", protocol);
  Set(labels, "pod_container_init", is_init ? "true" : "false");
}

std::string ContainerId(const json::value& pod, std::string_view name, bool is_init) {
  const json::value& status = Member(pod, "status");
  for (const json::value& entry :
       Array(status, is_init ? "initContainerStatuses" : "containerStatuses")) {
    if (Text(entry, "name") == name) return Text(entry, "containerID");
  }
  return "";
}

void BuildPod(TargetGroup& group, const json::value& pod, const Joins& joins) {
  const std::string ip = Text(Member(pod, "status"), "podIP");
  if (ip.empty()) return;  // Starting, or evicted.
  const json::value& node_name = Member(Member(pod, "spec"), "nodeName");
  // Nodes that are not known were left out by the selector of nodes.
  if (joins.nodes != nullptr && joins.nodes->Find(std::string(AsText(node_name))) == nullptr) {
    return;
  }
  AddPod(group.labels, pod, joins);
  Set(group.labels, "namespace", SpaceOf(pod));
  AddNode(group.labels, joins, node_name);
  AddNamespace(group.labels, joins, SpaceOf(pod));
  ForEachContainer(pod, [&](const json::value& container, bool is_init) {
    const std::string name = Text(container, "name");
    TextMap common;
    Set(common, "pod_container_id", ContainerId(pod, name, is_init));
    const json::array& ports = Array(container, "ports");
    if (ports.empty()) {
      TextMap labels = std::move(common);
      labels[std::string(kAddressLabel)] = ip;
      Set(labels, "pod_container_name", name);
      Set(labels, "pod_container_image", Text(container, "image"));
      Set(labels, "pod_container_init", is_init ? "true" : "false");
      group.targets.push_back(ToTarget(std::move(labels)));
      return;
    }
    for (const json::value& port : ports) {
      TextMap labels = common;
      labels[std::string(kAddressLabel)] = JoinHostPort(ip, Int(port, "containerPort"));
      AddPort(labels, container, is_init, port, Text(port, "protocol"));
      group.targets.push_back(ToTarget(std::move(labels)));
    }
  });
}

// ---- endpoints and endpoint slices --------------------------------------------------------------

// Pods that targets stand for, with the ports that are covered: what remains of their containers'
// ports becomes targets of its own.
class SeenPods {
 public:
  explicit SeenPods(const Joins& joins) : joins_(joins) {}

  // Adds the pod's labels, and those of its container with that port, if the reference is one to a
  // known pod. `port` is null when the endpoint has none. `protocol` empty: the container port's.
  void Attach(TextMap& labels, const json::value& ref, const json::value& port,
              const std::optional<std::string>& protocol) {
    if (Text(ref, "kind") != "Pod" || joins_.pods == nullptr) return;
    const std::string key = Text(ref, "namespace") + "/" + Text(ref, "name");
    const json::value* pod = joins_.pods->Find(key);
    if (pod == nullptr) return;
    AddPod(labels, *pod, joins_);
    Seen& seen = seen_[key];
    seen.pod = pod;
    if (port.is_null()) return;
    const int64_t number = AsInt(port);
    seen.ports.push_back(number);
    ForEachContainer(*pod, [&](const json::value& container, bool is_init) {
      for (const json::value& candidate : Array(container, "ports")) {
        if (Int(candidate, "containerPort") != number) continue;
        AddPort(labels, container, is_init, candidate,
                protocol ? *protocol : Text(candidate, "protocol"));
        break;
      }
    });
  }

  void AddUncovered(TargetGroup& group) const {
    for (const auto& [key, seen] : seen_) {
      const std::string ip = Text(Member(*seen.pod, "status"), "podIP");
      if (ip.empty()) continue;
      ForEachContainer(*seen.pod, [&](const json::value& container, bool is_init) {
        for (const json::value& port : Array(container, "ports")) {
          const int64_t number = Int(port, "containerPort");
          if (std::find(seen.ports.begin(), seen.ports.end(), number) != seen.ports.end()) continue;
          TextMap labels;
          labels[std::string(kAddressLabel)] = JoinHostPort(ip, number);
          AddPort(labels, container, is_init, port, Text(port, "protocol"));
          AddPod(labels, *seen.pod, joins_);
          group.targets.push_back(ToTarget(std::move(labels)));
        }
      });
    }
  }

 private:
  struct Seen {
    const json::value* pod = nullptr;
    std::vector<int64_t> ports;
  };
  const Joins& joins_;
  std::map<std::string, Seen> seen_;
};

void BuildEndpoints(TargetGroup& group, const std::string& key, const json::value& endpoints,
                    const Joins& joins) {
  const std::string space = SpaceOf(endpoints);
  Set(group.labels, "namespace", space);
  if (const json::value* service = joins.services->Find(key)) AddService(group.labels, *service);
  AddMetadata(group.labels, endpoints, "endpoints");
  AddNamespace(group.labels, joins, space);
  SeenPods pods(joins);
  const auto add = [&](const json::value& address, const json::value& port, bool ready) {
    const json::value& ref = Member(address, "targetRef");
    const json::value& node = Member(address, "nodeName");
    const json::value& number = Member(port, "port");
    TextMap labels;
    labels[std::string(kAddressLabel)] = JoinHostPort(Text(address, "ip"), AsInt(number));
    Set(labels, "endpoint_port_name", Text(port, "name"));
    Set(labels, "endpoint_port_protocol", Text(port, "protocol"));
    Set(labels, "endpoint_ready", ready ? "true" : "false");
    if (ref.is_object()) {
      Set(labels, "endpoint_address_target_kind", Text(ref, "kind"));
      Set(labels, "endpoint_address_target_name", Text(ref, "name"));
    }
    SetIfThere(labels, "endpoint_node_name", node);
    const std::string hostname = Text(address, "hostname");
    if (!hostname.empty()) Set(labels, "endpoint_hostname", hostname);
    if (!node.is_null()) {
      AddNode(labels, joins, node);
    } else if (Text(ref, "kind") == "Node") {
      AddNode(labels, joins, Member(ref, "name"));
    }
    pods.Attach(labels, ref, number, Text(port, "protocol"));
    group.targets.push_back(ToTarget(std::move(labels)));
  };
  for (const json::value& subset : Array(endpoints, "subsets")) {
    for (const json::value& port : Array(subset, "ports")) {
      for (const json::value& address : Array(subset, "addresses")) add(address, port, true);
      for (const json::value& address : Array(subset, "notReadyAddresses")) {
        add(address, port, false);
      }
    }
  }
  // The cluster writes an annotation; upstream looks for a label.
  std::string capacity = Text(Member(Member(endpoints, "metadata"), "annotations"), kOverCapacity);
  if (capacity.empty()) {
    capacity = Text(Member(Member(endpoints, "metadata"), "labels"), kOverCapacity);
  }
  if (capacity == "truncated" || capacity == "warning") {
    LOG_WARN(
        capacity == "truncated"
            ? "Number of endpoints in one Endpoints object exceeds 1000 and has been truncated, "
              "please use \"role: endpointslice\" instead"
            : "Number of endpoints in one Endpoints object exceeds 1000, please use \"role: "
              "endpointslice\" instead",
        {"endpoint", NameOf(endpoints)});
  }
  pods.AddUncovered(group);
}

// The slice of the second address family of a service with two: its targets are the same again.
bool IsSecondFamily(const json::value* service, const json::value& slice) {
  if (service == nullptr) return false;
  const json::value& spec = Member(*service, "spec");
  const std::string policy = Text(spec, "ipFamilyPolicy");
  if (policy != "PreferDualStack" && policy != "RequireDualStack") return false;
  const json::array& families = Array(spec, "ipFamilies");
  return !families.empty() && AsText(families.front()) != Text(slice, "addressType");
}

TextMap SliceTarget(const std::string& address, const json::value& endpoint,
                    const json::value& port, const Joins& joins) {
  const json::value& number = Member(port, "port");
  const json::value& ref = Member(endpoint, "targetRef");
  const json::value& conditions = Member(endpoint, "conditions");
  const json::value& node = Member(endpoint, "nodeName");
  TextMap labels;
  labels[std::string(kAddressLabel)] =
      number.is_null() ? address : JoinHostPort(address, AsInt(number));
  SetIfThere(labels, "endpointslice_port_name", Member(port, "name"));
  SetIfThere(labels, "endpointslice_port_protocol", Member(port, "protocol"));
  SetIfThere(labels, "endpointslice_port", number);
  SetIfThere(labels, "endpointslice_port_app_protocol", Member(port, "appProtocol"));
  for (const std::string_view name : {"ready", "serving", "terminating"}) {
    SetIfThere(labels, fmt::format("endpointslice_endpoint_conditions_{}", name),
               Member(conditions, name));
  }
  SetIfThere(labels, "endpointslice_endpoint_hostname", Member(endpoint, "hostname"));
  if (ref.is_object()) {
    Set(labels, "endpointslice_address_target_kind", Text(ref, "kind"));
    Set(labels, "endpointslice_address_target_name", Text(ref, "name"));
  }
  SetIfThere(labels, "endpointslice_endpoint_node_name", node);
  SetIfThere(labels, "endpointslice_endpoint_zone", Member(endpoint, "zone"));
  for (const auto& [name, value] : Object(endpoint, "deprecatedTopology")) {
    const std::string key = SanitizeLabelName(name);
    Set(labels, "endpointslice_endpoint_topology_" + key, AsText(value));
    Set(labels, "endpointslice_endpoint_topology_present_" + key, "true");
  }
  AddNode(labels, joins, Text(ref, "kind") == "Node" ? Member(ref, "name") : node);
  return labels;
}

void BuildEndpointSlice(TargetGroup& group, const json::value& slice, const Joins& joins) {
  const std::string space = SpaceOf(slice);
  Set(group.labels, "namespace", space);
  Set(group.labels, "endpointslice_address_type", Text(slice, "addressType"));
  AddMetadata(group.labels, slice, "endpointslice");
  const json::value& service_name =
      Member(Member(Member(slice, "metadata"), "labels"), kServiceNameLabel);
  const json::value* service =
      service_name.is_null()
          ? nullptr
          : joins.services->Find(space + "/" + std::string(AsText(service_name)));
  if (service != nullptr) AddService(group.labels, *service);
  AddNamespace(group.labels, joins, space);
  if (IsSecondFamily(service, slice)) return;
  SeenPods pods(joins);
  for (const json::value& endpoint : Array(slice, "endpoints")) {
    for (const json::value& port : Array(slice, "ports")) {
      for (const json::value& address : Array(endpoint, "addresses")) {
        TextMap labels = SliceTarget(std::string(AsText(address)), endpoint, port, joins);
        pods.Attach(labels, Member(endpoint, "targetRef"), Member(port, "port"), std::nullopt);
        group.targets.push_back(ToTarget(std::move(labels)));
      }
    }
  }
  pods.AddUncovered(group);
}

// ---- services, ingresses, nodes -----------------------------------------------------------------

std::string LoadBalancerIps(const json::value& service) {
  std::vector<std::string> ips;
  for (const json::value& ingress :
       Array(Member(Member(service, "status"), "loadBalancer"), "ingress")) {
    std::string ip = Text(ingress, "ip");
    if (!ip.empty()) ips.push_back(std::move(ip));
  }
  return ips.empty() ? Text(Member(service, "spec"), "loadBalancerIP") : Join(ips, ",");
}

void BuildService(TargetGroup& group, const json::value& service, const Joins& joins) {
  AddService(group.labels, service);
  AddNamespace(group.labels, joins, SpaceOf(service));
  const json::value& spec = Member(service, "spec");
  const std::string type = Text(spec, "type");
  for (const json::value& port : Array(spec, "ports")) {
    const std::string number = std::to_string(Int(port, "port"));
    TextMap labels;
    labels[std::string(kAddressLabel)] =
        fmt::format("{}.{}.svc:{}", NameOf(service), SpaceOf(service), number);
    Set(labels, "service_port_name", Text(port, "name"));
    Set(labels, "service_port_number", number);
    Set(labels, "service_port_protocol", Text(port, "protocol"));
    Set(labels, "service_type", type);
    if (type == "ExternalName") {
      Set(labels, "service_external_name", Text(spec, "externalName"));
    } else {
      Set(labels, "service_cluster_ip", Text(spec, "clusterIP"));
    }
    if (type == "LoadBalancer") {
      Set(labels, "service_loadbalancer_ip", LoadBalancerIps(service));
    }
    group.targets.push_back(ToTarget(std::move(labels)));
  }
}

void BuildIngress(TargetGroup& group, const json::value& ingress, const Joins& joins) {
  const json::value& spec = Member(ingress, "spec");
  Set(group.labels, "namespace", SpaceOf(ingress));
  SetIfThere(group.labels, "ingress_class_name", Member(spec, "ingressClassName"));
  AddMetadata(group.labels, ingress, "ingress");
  AddNamespace(group.labels, joins, SpaceOf(ingress));
  for (const json::value& rule : Array(spec, "rules")) {
    const std::string host = Text(rule, "host");
    bool covered = false;
    for (const json::value& tls : Array(spec, "tls")) {
      for (const json::value& pattern : Array(tls, "hosts")) {
        covered = covered || MatchesHostPattern(AsText(pattern), host);
      }
    }
    std::vector<std::string> paths;
    if (Member(rule, "http").is_null()) paths.emplace_back("/");
    for (const json::value& path : Array(Member(rule, "http"), "paths")) {
      std::string text = Text(path, "path");
      paths.push_back(text.empty() ? "/" : std::move(text));
    }
    for (const std::string& path : paths) {
      TextMap labels;
      labels[std::string(kAddressLabel)] = host;
      Set(labels, "ingress_scheme", covered ? "https" : "http");
      Set(labels, "ingress_host", host);
      Set(labels, "ingress_path", path);
      group.targets.push_back(ToTarget(std::move(labels)));
    }
  }
}

// False: the node has no address.
bool BuildNode(TargetGroup& group, const json::value& node) {
  const json::value& status = Member(node, "status");
  Set(group.labels, "node_provider_id", Text(Member(node, "spec"), "providerID"));
  for (const json::value& condition : Array(status, "conditions")) {
    const std::string type = SanitizeLabelName(ToLower(Text(condition, "type")));
    Set(group.labels, "node_condition_" + type, ToLower(Text(condition, "status")));
  }
  AddMetadata(group.labels, node, "node");
  TextMap first;  // The first address of each type.
  for (const json::value& address : Array(status, "addresses")) {
    first.try_emplace(Text(address, "type"), Text(address, "address"));
  }
  for (const std::string_view type :
       {"InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"}) {
    const auto found = first.find(std::string(type));
    if (found == first.end()) continue;
    const int64_t port = Int(Member(Member(status, "daemonEndpoints"), "kubeletEndpoint"), "Port");
    TextMap labels;
    labels[std::string(kAddressLabel)] = JoinHostPort(found->second, port);
    labels["instance"] = NameOf(node);
    for (const auto& [name, address] : first) {
      Set(labels, "node_address_" + SanitizeLabelName(name), address);
    }
    group.targets.push_back(ToTarget(std::move(labels)));
    return true;
  }
  LOG_WARN("No node address found", {"node", NameOf(node)}, {"err", "host address unknown"});
  return false;
}

}  // namespace

const json::value& ControllerOf(const json::value& object) {
  for (const json::value& owner : Array(Member(object, "metadata"), "ownerReferences")) {
    if (Bool(owner, "controller")) return owner;
  }
  return kNull;
}

bool MatchesHostPattern(std::string_view pattern, std::string_view host) {
  if (pattern == host) return true;
  if (!pattern.starts_with("*.")) return false;
  const size_t dot = host.find('.');
  return dot != std::string_view::npos && host.substr(dot) == pattern.substr(1);
}

std::string SourceOf(Resource role, const std::string& key) {
  switch (role) {
    case Resource::kPods: return "pod/" + key;
    case Resource::kServices: return "svc/" + key;
    case Resource::kEndpoints: return "endpoints/" + key;
    case Resource::kEndpointSlices: return "endpointslice/" + key;
    case Resource::kIngresses: return "ingress/" + key;
    default: return "node/" + key;
  }
}

std::optional<TargetGroup> BuildGroup(Resource role, const std::string& key,
                                      const json::value& object, const Joins& joins) {
  TargetGroup group;
  group.source = SourceOf(role, key);
  switch (role) {
    case Resource::kPods: BuildPod(group, object, joins); break;
    case Resource::kServices: BuildService(group, object, joins); break;
    case Resource::kEndpoints: BuildEndpoints(group, key, object, joins); break;
    case Resource::kEndpointSlices: BuildEndpointSlice(group, object, joins); break;
    case Resource::kIngresses: BuildIngress(group, object, joins); break;
    default:
      if (!BuildNode(group, object)) return std::nullopt;
  }
  return group;
}

}  // namespace narthex::kubernetes
