#include "config/relabel_schema.h"

#include "config/config.h"

namespace narthex {

bool Codec<RelabelRegex>::Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                               RelabelRegex& out) {
  std::string text;
  if (!decoder.ReadText(node, go_type, &text)) return false;
  Result<RelabelRegex> regex = RelabelRegex::Compile(text);
  if (!regex.ok()) {
    decoder.Fail(regex.status());
    return false;
  }
  out = *std::move(regex);
  return true;
}

void Codec<RelabelRegex>::SetZero(RelabelRegex& value) {
  static const RelabelRegex empty = *RelabelRegex::Compile("");
  value = empty;
}

bool Codec<RelabelAction>::Read(YamlDecoder& decoder, const YamlNode& node,
                                std::string_view go_type, RelabelAction& out) {
  std::string text;
  if (!decoder.ReadText(node, go_type, &text)) return false;
  const Result<RelabelAction> action = ParseRelabelAction(text);
  if (!action.ok()) {
    decoder.Fail(action.status());
    return false;
  }
  out = *action;
  return true;
}

bool Codec<NameValidation>::Read(YamlDecoder& decoder, const YamlNode& node,
                                 std::string_view go_type, NameValidation& out) {
  std::string text;
  if (!decoder.ReadText(node, go_type, &text)) return false;
  if (text == "legacy") {
    out = NameValidation::kLegacy;
  } else if (text == "utf8") {
    out = NameValidation::kUtf8;
  } else if (!text.empty()) {
    decoder.Fail(
        MakeError(ErrorCode::kInvalidInput, "unrecognized ValidationScheme: {}", GoQuote(text)));
    return false;
  }
  return true;
}

FieldList Schema<RelabelConfig>::Fields() {
  return {
      Field<&RelabelConfig::source_labels>("source_labels", kFlow | kOmitEmpty, "model.LabelNames"),
      Field<&RelabelConfig::separator>("separator"),
      Field<&RelabelConfig::regex>("regex", kOmitEmpty),
      Field<&RelabelConfig::modulus>("modulus", kOmitEmpty),
      Field<&RelabelConfig::target_label>("target_label", kOmitEmpty),
      Field<&RelabelConfig::replacement>("replacement"),
      Field<&RelabelConfig::action>("action", kOmitEmpty)};
}

void Schema<RelabelConfig>::AfterRead(YamlDecoder&, const YamlNode& node, RelabelConfig& out) {
  out.has_source_labels = !out.source_labels.empty() || HasEmptyList(node, "source_labels");
}

Status Schema<RelabelConfig>::Check(RelabelConfig& config) {
  for (const std::string& name : config.source_labels) {
    if (!IsValidLabelName(NameValidation::kUtf8, name)) {
      return MakeError(ErrorCode::kInvalidInput, "{} is not a valid label name", GoQuote(name));
    }
  }
  return {};
}

bool IsNullRule(const RelabelConfig& config) {
  return config.action == RelabelAction::kUnset && config.separator.empty() &&
         config.replacement.empty() && config.target_label.empty();
}

Status RefuseNullRules(const std::vector<RelabelConfig>& rules, std::string_view message) {
  for (const RelabelConfig& rule : rules) {
    if (IsNullRule(rule)) return Status(ErrorCode::kInvalidInput, std::string(message));
  }
  return {};
}

Status ValidateRules(std::vector<RelabelConfig>& rules, NameValidation scheme) {
  for (RelabelConfig& rule : rules) NARTHEX_RETURN_IF_ERROR(rule.Validate(scheme));
  return {};
}

Result<std::vector<RelabelConfig>> ParseRelabelConfigs(std::string_view yaml,
                                                       NameValidation scheme) {
  std::vector<RelabelConfig> rules;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, rules));
  NARTHEX_RETURN_IF_ERROR(RefuseNullRules(rules, "empty or null relabeling rule"));
  NARTHEX_RETURN_IF_ERROR(ValidateRules(rules, scheme));
  return rules;
}

}  // namespace narthex
