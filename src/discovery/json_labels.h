// Labels from an API's JSON. For .cc files only: it shows Boost.JSON.
#pragma once

#include <string>
#include <string_view>

#include "discovery/target_group.h"
#include "util/json_reader.h"

namespace narthex {

// The label, if the member is a text at all, be it empty.
void SetIfText(const json::value& object, std::string_view member, std::string label,
               TextMap* labels);
// For each member of an object of texts the label `prefix` + its name, made fit for a label name.
void AddLabels(const json::object& object, std::string_view prefix, TextMap* labels);

}  // namespace narthex
