// Reading an API's JSON the way Go's decoder would: members that are absent, null or of another
// kind count as empty. For .cc files only: it shows Boost.JSON.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex {

namespace json = boost::json;

// Errors: `invalid JSON: …`. Nesting is bounded by the parser (32 levels).
Result<json::value> ParseJson(std::string_view text);
// Likewise, and of the wanted kind: `json: cannot unmarshal string into Go value of type array`.
Result<json::array> ParseJsonArray(std::string_view text);
Result<json::object> ParseJsonObject(std::string_view text);

// The member, or null. Also of values that are not objects.
const json::value& Member(const json::value& value, std::string_view name);
const json::value& Member(const json::object& object, std::string_view name);

// The value as that kind, or an empty one.
std::string_view AsText(const json::value& value);
int64_t AsInt(const json::value& value);
bool AsBool(const json::value& value);
const json::object& AsObject(const json::value& value);
const json::array& AsArray(const json::value& value);
// Numbers and booleans as text too ("8080", "true"); "" for the others.
std::string AsPrinted(const json::value& value);

// Shorthands: the member as that kind.
template <typename V>
std::string Text(const V& value, std::string_view name) {
  return std::string(AsText(Member(value, name)));
}
template <typename V>
int64_t Int(const V& value, std::string_view name) {
  return AsInt(Member(value, name));
}
template <typename V>
bool Bool(const V& value, std::string_view name) {
  return AsBool(Member(value, name));
}
template <typename V>
const json::object& Object(const V& value, std::string_view name) {
  return AsObject(Member(value, name));
}
template <typename V>
const json::array& Array(const V& value, std::string_view name) {
  return AsArray(Member(value, name));
}

// All text elements of a list.
std::vector<std::string> Texts(const json::array& array);

}  // namespace narthex
