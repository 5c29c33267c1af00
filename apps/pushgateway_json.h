// The Pushgateway's JSON API (parity/pushgateway.md section 5).
#pragma once

#include <map>
#include <string>

#include "push/group.h"

namespace narthex::apps {

// {"status":"success","data":[group, …]}. All numbers are strings, in Go's %v form.
std::string PushedMetricsJson(const push::Groups& groups);
std::string PushStatusJson(const std::map<std::string, std::string>& flags,
                           int64_t start_time_nanos);

}  // namespace narthex::apps
