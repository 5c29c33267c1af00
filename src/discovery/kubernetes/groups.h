// The target group of one object, joined with others. Labels, addresses and sources are upstream's.
#pragma once

#include <optional>
#include <string>

#include "discovery/kubernetes/object_store.h"
#include "discovery/target_group.h"

namespace narthex::kubernetes {

// Where to look things up; null: not attached.
struct Joins {
  const ObjectStore* pods = nullptr;
  const ObjectStore* services = nullptr;
  const ObjectStore* nodes = nullptr;
  const ObjectStore* namespaces = nullptr;
  const ObjectStore* replica_sets = nullptr;
  const ObjectStore* jobs = nullptr;
  bool job_names = false;
  bool cron_job_names = false;
};

// "pod/ns/name", "svc/ns/name", "node/name", …
std::string SourceOf(Resource role, const std::string& key);

// Nothing: say nothing, so that what was there stays (a node without addresses).
std::optional<TargetGroup> BuildGroup(Resource role, const std::string& key,
                                      const json::value& object, const Joins& joins);

// The owner that controls an object, or null.
const json::value& ControllerOf(const json::value& object);
// Host names of TLS entries: equal, or "*." for exactly one label.
bool MatchesHostPattern(std::string_view pattern, std::string_view host);

}  // namespace narthex::kubernetes
