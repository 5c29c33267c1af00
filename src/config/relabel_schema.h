// How relabelling rules stand in a configuration file.
#pragma once

#include "config/fields.h"
#include "model/relabel.h"

namespace narthex {

template <>
struct Codec<RelabelRegex> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   RelabelRegex& out);
  static YamlValue Print(const RelabelRegex& value, SecretPrint) {
    return YamlValue::Text(value.text());
  }
  // Left out in print where the file left it out.
  static bool IsZero(const RelabelRegex& value) { return value.is_default(); }
  // A null is the expression that matches nothing but "".
  static void SetZero(RelabelRegex& value);
};

template <>
struct Codec<RelabelAction> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   RelabelAction& out);
  static YamlValue Print(RelabelAction value, SecretPrint) {
    return YamlValue::Text(RelabelActionName(value));
  }
  static bool IsZero(RelabelAction value) { return value == RelabelAction::kUnset; }
  static void SetZero(RelabelAction& value) { value = RelabelAction::kUnset; }
};

template <>
struct Codec<NameValidation> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   NameValidation& out);
  static YamlValue Print(NameValidation value, SecretPrint) {
    return YamlValue::Text(value == NameValidation::kUnset ? "" : NameValidationName(value));
  }
  static bool IsZero(NameValidation value) { return value == NameValidation::kUnset; }
  static void SetZero(NameValidation& value) { value = NameValidation::kUnset; }
};

template <>
struct Schema<RelabelConfig> {
  static constexpr std::string_view kGoType = "relabel.plain";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields();
  static void AfterRead(YamlDecoder& decoder, const YamlNode& node, RelabelConfig& out);
  static Status Check(RelabelConfig& config);
};

// Whether a list had a null in this place.
bool IsNullRule(const RelabelConfig& config);
Status RefuseNullRules(const std::vector<RelabelConfig>& rules, std::string_view message);
Status ValidateRules(std::vector<RelabelConfig>& rules, NameValidation scheme);

}  // namespace narthex
