#include "discovery/json_labels.h"

namespace narthex {

void SetIfText(const json::value& object, std::string_view member, std::string label,
               TextMap* labels) {
  if (const json::value& value = Member(object, member); value.is_string()) {
    (*labels)[std::move(label)] = std::string(AsText(value));
  }
}

void AddLabels(const json::object& object, std::string_view prefix, TextMap* labels) {
  for (const auto& [name, value] : object) {
    (*labels)[std::string(prefix) + SanitizeLabelName(name)] = std::string(AsText(value));
  }
}

}  // namespace narthex
