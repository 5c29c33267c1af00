// Labels from the XML that Amazon's query APIs answer with, by tables: dozens of fields of one
// object become labels of nearly the same names.
#pragma once

#include <pugixml.hpp>
#include <span>
#include <string>
#include <string_view>

#include "discovery/target_group.h"

namespace narthex {

enum class XmlKind : uint8_t {
  kText,  // As it stands.
  kTime,  // RFC 3339 to the second.
};

struct XmlLabel {
  const char* path;   // "Endpoint.Address": a child of a child.
  const char* label;  // Behind the prefix.
  XmlKind kind = XmlKind::kText;
};

// Null when one of them is missing.
pugi::xml_node XmlChild(const pugi::xml_node& node, std::string_view path);
std::string XmlText(const pugi::xml_node& node, std::string_view path);
// What is missing becomes no label, what is empty an empty one.
void SetXmlLabels(const pugi::xml_node& node, std::span<const XmlLabel> table,
                  std::string_view prefix, TextMap* labels);
// Children with a Key and a Value: <prefix><key>.
void SetXmlTags(const pugi::xml_node& list, std::string_view prefix, TextMap* labels);

}  // namespace narthex
