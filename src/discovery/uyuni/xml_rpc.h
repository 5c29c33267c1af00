// XML-RPC as far as Uyuni's API needs it: calls with texts, numbers and lists of numbers, and the
// answers' values. For .cc files only: it shows pugixml.
#pragma once

#include <cstdint>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "util/status.h"

namespace narthex {

using XmlRpcArgument = std::variant<std::string, int64_t, std::vector<int64_t>>;

std::string EncodeXmlRpcCall(std::string_view method, const std::vector<XmlRpcArgument>& arguments);
// The <value> an answer gives, which is part of the document. A fault is an error
// `error: "text" code: 42`.
Result<pugi::xml_node> DecodeXmlRpcAnswer(std::string_view body, pugi::xml_document* document);

// Parts of a <value>: a member of a struct, the elements of an array, a scalar as text.
pugi::xml_node XmlRpcMember(const pugi::xml_node& value, std::string_view name);
std::vector<pugi::xml_node> XmlRpcElements(const pugi::xml_node& value);
std::string XmlRpcText(const pugi::xml_node& value);

}  // namespace narthex
