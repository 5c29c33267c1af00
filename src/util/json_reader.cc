#include "util/json_reader.h"

namespace narthex {

namespace {

const json::value kNull;
const json::object kEmptyObject;
const json::array kEmptyArray;

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::object: return "object";
    case json::kind::array: return "array";
    case json::kind::string: return "string";
    case json::kind::bool_: return "bool";
    case json::kind::null: return "null";
    default: return "number";
  }
}

Status WrongKind(const json::value& value, std::string_view wanted) {
  return MakeError(ErrorCode::kInvalidInput, "json: cannot unmarshal {} into Go value of type {}",
                   KindName(value), wanted);
}

}  // namespace

Result<json::value> ParseJson(std::string_view text) {
  boost::system::error_code error;
  json::value document = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return MakeError(ErrorCode::kInvalidInput, "invalid JSON: {}", error.message());
  return document;
}

Result<json::array> ParseJsonArray(std::string_view text) {
  NARTHEX_TRY(json::value document, ParseJson(text));
  if (document.is_null()) return json::array();
  if (!document.is_array()) return WrongKind(document, "array");
  return std::move(document.get_array());
}

Result<json::object> ParseJsonObject(std::string_view text) {
  NARTHEX_TRY(json::value document, ParseJson(text));
  if (document.is_null()) return json::object();
  if (!document.is_object()) return WrongKind(document, "object");
  return std::move(document.get_object());
}

const json::value& Member(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(json::string_view(name.data(), name.size()));
  return found != nullptr ? *found : kNull;
}

const json::value& Member(const json::value& value, std::string_view name) {
  const json::object* object = value.if_object();
  return object != nullptr ? Member(*object, name) : kNull;
}

std::string_view AsText(const json::value& value) {
  const json::string* text = value.if_string();
  return text != nullptr ? std::string_view(text->data(), text->size()) : std::string_view();
}

int64_t AsInt(const json::value& value) {
  if (const int64_t* number = value.if_int64()) return *number;
  if (const uint64_t* number = value.if_uint64()) return static_cast<int64_t>(*number);
  const double* number = value.if_double();
  const bool fits = number != nullptr && *number > -9e18 && *number < 9e18;
  return fits ? static_cast<int64_t>(*number) : 0;
}

bool AsBool(const json::value& value) {
  const bool* flag = value.if_bool();
  return flag != nullptr && *flag;
}

const json::object& AsObject(const json::value& value) {
  const json::object* object = value.if_object();
  return object != nullptr ? *object : kEmptyObject;
}

const json::array& AsArray(const json::value& value) {
  const json::array* array = value.if_array();
  return array != nullptr ? *array : kEmptyArray;
}

std::string AsPrinted(const json::value& value) {
  if (value.is_string()) return std::string(AsText(value));
  if (value.is_bool() || value.is_number()) return json::serialize(value);
  return {};
}

std::vector<std::string> Texts(const json::array& array) {
  std::vector<std::string> texts;
  texts.reserve(array.size());
  for (const json::value& element : array) texts.emplace_back(AsText(element));
  return texts;
}

}  // namespace narthex
