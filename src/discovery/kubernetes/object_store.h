// Objects of one resource, by "namespace/name" (or "name" where there are no namespaces), each cut
// down to the members that labels are made of. A pod of 8 KiB keeps some hundred bytes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "util/json_reader.h"

namespace narthex::kubernetes {

enum class Resource {
  kPods,
  kServices,
  kEndpoints,
  kEndpointSlices,
  kIngresses,
  kNodes,
  kNamespaces,
  kReplicaSets,
  kJobs,
};

// "pods": the last part of the path, and below which API it is: "/api/v1".
std::string_view ResourceName(Resource resource);
std::string_view ResourceApi(Resource resource);

// The members of `object` that the groups of any role need, in the same shape.
json::value CutDown(Resource resource, const json::value& object);

class ObjectStore {
 public:
  enum class Change { kAdd, kUpdate, kDelete };
  // `before` and `after` are null where there is none.
  using Listener = std::function<void(Change change, const std::string& key,
                                      const json::value* before, const json::value* after)>;

  ObjectStore(Resource resource, Listener listener)
      : resource_(resource), listener_(std::move(listener)) {}

  // Tells the listener unless the object has the resource version that is known already.
  void Put(const json::value& object);
  void Remove(const std::string& key);
  // Between these two, Put() marks; EndReplace() removes what was not put.
  void BeginReplace();
  void EndReplace();

  const json::value* Find(const std::string& key) const;
  size_t size() const { return entries_.size(); }
  Resource resource() const { return resource_; }
  template <typename F>
  void ForEach(F visit) const {
    for (const auto& [key, entry] : entries_) visit(key, entry.object);
  }

  static std::string KeyOf(const json::value& object);

 private:
  struct Entry {
    std::string version;
    json::value object;
    uint64_t round = 0;
  };
  const Resource resource_;
  const Listener listener_;
  std::map<std::string, Entry> entries_;
  uint64_t round_ = 0;
};

}  // namespace narthex::kubernetes
