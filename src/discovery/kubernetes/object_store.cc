#include "discovery/kubernetes/object_store.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "util/strings.h"

namespace narthex::kubernetes {

namespace {

// The wanted members, as a tree. A leaf is kept whole; lists are cut down element by element.
struct Shape {
  std::map<std::string, Shape, std::less<>> members;
};

constexpr std::string_view kMetadata =
    "metadata.name metadata.namespace metadata.labels metadata.annotations ";

std::string_view MembersOf(Resource resource) {
  switch (resource) {
    case Resource::kPods:
      return "metadata.uid metadata.ownerReferences spec.nodeName "
             "spec.containers.name spec.containers.image spec.containers.ports "
             "spec.initContainers.name spec.initContainers.image spec.initContainers.ports "
             "status.podIP status.hostIP status.phase "
             "status.conditions.type status.conditions.status "
             "status.containerStatuses.name status.containerStatuses.containerID "
             "status.initContainerStatuses.name status.initContainerStatuses.containerID";
    case Resource::kServices:
      return "spec.ports spec.type spec.externalName spec.clusterIP spec.loadBalancerIP "
             "spec.ipFamilyPolicy spec.ipFamilies status.loadBalancer.ingress.ip";
    case Resource::kEndpoints: return "subsets";
    case Resource::kEndpointSlices: return "addressType endpoints ports";
    case Resource::kIngresses:
      return "spec.ingressClassName spec.tls.hosts spec.rules.host spec.rules.http.paths.path";
    case Resource::kNodes:
      return "spec.providerID status.addresses status.daemonEndpoints "
             "status.conditions.type status.conditions.status";
    case Resource::kNamespaces: return "";
    case Resource::kReplicaSets:
    case Resource::kJobs: return "metadata.ownerReferences";
  }
  return "";
}

Shape MakeShape(Resource resource) {
  Shape shape;
  // Of owners only their owners matter.
  const bool named_only = resource == Resource::kReplicaSets || resource == Resource::kJobs;
  const std::string paths =
      std::string(named_only ? "metadata.name metadata.namespace " : kMetadata) +
      std::string(MembersOf(resource));
  for (const std::string_view path : Split(paths, ' ')) {
    if (path.empty()) continue;
    Shape* at = &shape;
    for (const std::string_view name : Split(path, '.')) at = &at->members[std::string(name)];
  }
  return shape;
}

json::value Cut(const json::value& from, const Shape& shape) {
  if (shape.members.empty()) return from;
  if (const json::array* array = from.if_array()) {
    json::array cut;
    cut.reserve(array->size());
    for (const json::value& element : *array) cut.push_back(Cut(element, shape));
    return cut;
  }
  json::object cut;
  if (const json::object* object = from.if_object()) {
    for (const auto& [name, member] : shape.members) {
      if (const json::value* found = object->if_contains(name)) cut[name] = Cut(*found, member);
    }
  }
  return cut;
}

}  // namespace

std::string_view ResourceName(Resource resource) {
  switch (resource) {
    case Resource::kPods: return "pods";
    case Resource::kServices: return "services";
    case Resource::kEndpoints: return "endpoints";
    case Resource::kEndpointSlices: return "endpointslices";
    case Resource::kIngresses: return "ingresses";
    case Resource::kNodes: return "nodes";
    case Resource::kNamespaces: return "namespaces";
    case Resource::kReplicaSets: return "replicasets";
    case Resource::kJobs: return "jobs";
  }
  return "";
}

std::string_view ResourceApi(Resource resource) {
  switch (resource) {
    case Resource::kEndpointSlices: return "/apis/discovery.k8s.io/v1";
    case Resource::kIngresses: return "/apis/networking.k8s.io/v1";
    case Resource::kReplicaSets: return "/apis/apps/v1";
    case Resource::kJobs: return "/apis/batch/v1";
    default: return "/api/v1";
  }
}

json::value CutDown(Resource resource, const json::value& object) {
  static const std::map<Resource, Shape> shapes = [] {
    std::map<Resource, Shape> made;
    for (int i = 0; i <= static_cast<int>(Resource::kJobs); ++i) {
      made[static_cast<Resource>(i)] = MakeShape(static_cast<Resource>(i));
    }
    return made;
  }();
  return Cut(object, shapes.at(resource));
}

std::string ObjectStore::KeyOf(const json::value& object) {
  const json::value& metadata = Member(object, "metadata");
  const std::string_view space = AsText(Member(metadata, "namespace"));
  const std::string name = Text(metadata, "name");
  return space.empty() ? name : std::string(space) + "/" + name;
}

void ObjectStore::Put(const json::value& object) {
  const std::string key = KeyOf(object);
  std::string version = Text(Member(object, "metadata"), "resourceVersion");
  const auto [found, added] = entries_.try_emplace(key);
  Entry& entry = found->second;
  entry.round = round_;
  if (!added && !version.empty() && entry.version == version) return;
  const json::value before = std::exchange(entry.object, CutDown(resource_, object));
  entry.version = std::move(version);
  listener_(added ? Change::kAdd : Change::kUpdate, key, added ? nullptr : &before, &entry.object);
}

void ObjectStore::Remove(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  const json::value before = std::move(found->second.object);
  entries_.erase(found);
  listener_(Change::kDelete, key, &before, nullptr);
}

void ObjectStore::BeginReplace() {
  ++round_;
}

void ObjectStore::EndReplace() {
  std::vector<std::string> gone;
  for (const auto& [key, entry] : entries_) {
    if (entry.round != round_) gone.push_back(key);
  }
  for (const std::string& key : gone) Remove(key);
}

const json::value* ObjectStore::Find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second.object;
}

}  // namespace narthex::kubernetes
