#include "discovery/target_group.h"

#include <boost/json.hpp>

#include "config/config.h"
#include "util/strings.h"

namespace narthex {

namespace {

namespace json = boost::json;

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

// What Go's decoder calls a value.
std::string_view KindName(const json::value& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_bool()) return "bool";
  return "number";
}

Status WrongType(const json::value& value, std::string_view go_type, std::string_view field = {}) {
  const std::string where = field.empty() ? "Go value" : fmt::format("Go struct field .{}", field);
  return Invalid(
      fmt::format("json: cannot unmarshal {} into {} of type {}", KindName(value), where, go_type));
}

Status ReadTargets(const json::value& value, TargetGroup* group) {
  group->targets.clear();
  if (value.is_null()) return {};
  if (!value.is_array()) return WrongType(value, "[]string", "targets");
  for (const json::value& target : value.as_array()) {
    if (!target.is_string() && !target.is_null()) return WrongType(target, "string", "targets");
    group->targets.push_back(
        AddressOnly(target.is_string() ? std::string_view(target.as_string()) : ""));
  }
  return {};
}

Status ReadLabels(const json::value& value, TargetGroup* group) {
  group->labels.clear();
  if (value.is_null()) return {};
  if (!value.is_object()) return WrongType(value, "map[model.LabelName]model.LabelValue");
  for (const auto& [name, text] : value.as_object()) {
    if (name.empty()) return Invalid(GoQuote(name) + " is not a valid label name");
    if (!text.is_string() && !text.is_null()) return WrongType(text, "model.LabelValue");
    group->labels[name] = text.is_string() ? std::string(text.as_string()) : "";
  }
  return {};
}

Result<TargetGroup> ReadGroup(const json::value& value) {
  if (value.is_null()) return Invalid("nil target group item found");
  if (!value.is_object()) {
    return WrongType(value,
                     "struct { Targets []string \"json:\\\"targets\\\"\"; Labels model.LabelSet "
                     "\"json:\\\"labels\\\"\" }");
  }
  TargetGroup group;
  for (const auto& [name, member] : value.as_object()) {
    // Go matches the names of fields without case.
    const std::string lower = ToLower(name);
    if (lower == "targets") {
      NARTHEX_RETURN_IF_ERROR(ReadTargets(member, &group));
    } else if (lower == "labels") {
      NARTHEX_RETURN_IF_ERROR(ReadLabels(member, &group));
    } else {
      return Invalid("json: unknown field " + GoQuote(name));
    }
  }
  return group;
}

}  // namespace

TargetLabels AddressOnly(std::string_view address) {
  return {{std::string(kAddressLabel), std::string(address)}};
}

TargetLabels ToTarget(TextMap labels) {
  TargetLabels target;
  target.reserve(labels.size());
  while (!labels.empty()) {
    auto node = labels.extract(labels.begin());
    target.emplace_back(std::move(node.key()), std::move(node.mapped()));
  }
  return target;
}

std::string JoinHostPort(std::string_view host, std::string_view port) {
  if (host.find(':') != std::string_view::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

std::string JoinHostPort(std::string_view host, int64_t port) {
  return JoinHostPort(host, std::to_string(port));
}

std::string WrapList(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}{}{}", separator, Join(parts, separator), separator);
}

void SetList(std::string label, const std::vector<std::string>& parts, std::string_view separator,
             TextMap* labels) {
  if (!parts.empty()) (*labels)[std::move(label)] = WrapList(parts, separator);
}

std::string_view GetLabel(const TargetLabels& labels, std::string_view name) {
  for (const auto& [key, value] : labels) {
    if (key == name) return value;
  }
  return {};
}

std::string SanitizeLabelName(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit) c = '_';
  }
  return out;
}

Result<std::vector<TargetGroup>> ParseTargetGroupsJson(std::string_view text) {
  boost::system::error_code error;
  const json::value document = json::parse(json::string_view(text.data(), text.size()), error);
  if (error) return Invalid("invalid JSON: " + error.message());
  std::vector<TargetGroup> groups;
  if (document.is_null()) return groups;
  if (!document.is_array()) return WrongType(document, "[]*targetgroup.Group");
  for (const json::value& element : document.as_array()) {
    NARTHEX_TRY(TargetGroup group, ReadGroup(element));
    groups.push_back(std::move(group));
  }
  return groups;
}

Result<std::vector<TargetGroup>> ParseTargetGroupsYaml(std::string_view text) {
  NARTHEX_TRY(const std::vector<StaticGroup> read, ParseStaticGroups(text));
  std::vector<TargetGroup> groups;
  for (const StaticGroup& from : read) {
    TargetGroup& group = groups.emplace_back();
    group.labels = from.labels;
    for (const std::string& target : from.targets) group.targets.push_back(AddressOnly(target));
  }
  return groups;
}

}  // namespace narthex
