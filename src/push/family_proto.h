// Families as io.prometheus.client.MetricFamily in protobuf: pushed bodies, the state file and the
// journal. The other direction is client::WriteProtobufDelimited.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "narthex/client/metric_family.h"
#include "util/status.h"

namespace narthex::push {

// Everything the message has, with its full precision. Unknown fields are passed over.
Result<client::MetricFamily> DecodeFamily(std::string_view message);
// Length-prefixed messages one after the other; of two with one name the later stays.
Result<std::vector<client::MetricFamily>> DecodeFamilies(std::string_view delimited);
// The message without its length.
std::string EncodeFamily(const client::MetricFamily& family);

}  // namespace narthex::push
