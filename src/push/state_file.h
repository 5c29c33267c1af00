// The state file of upstream's Pushgateway: groups in Go's gob encoding, read and written, so that
// either program goes on where the other stopped.
//
//   file     ( length | type definition )* length | type id | 0 | map key → group
//   group    struct { Labels map[string]string; Metrics map[string]family }
//   family   struct { Timestamp: Go's binary time; GobbableMetricFamily: protobuf message }
//
// Fields are found by name, as gob does it, so that files of older and newer releases are read.
#pragma once

#include <string>
#include <string_view>

#include "push/group.h"
#include "util/status.h"

namespace narthex::push {

Result<Groups> DecodeStateFile(std::string_view bytes);
std::string EncodeStateFile(const Groups& groups);

}  // namespace narthex::push
