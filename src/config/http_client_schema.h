// Tables of the HTTP client block, for the sections that splice its keys into their own.
#pragma once

#include "config/fields.h"
#include "config/http_client_config.h"

namespace narthex {

// A URL that is checked when it is read; printed with its password hidden.
template <>
struct Codec<Url> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type, Url& out);
  static YamlValue Print(const Url& value, SecretPrint secrets) {
    return YamlValue::Text(secrets == SecretPrint::kReveal ? value.ToString() : value.Redacted());
  }
  static bool IsZero(const Url& value) { return value.empty(); }
  static void SetZero(Url& value) { value = {}; }
};

template <>
struct Codec<TlsVersion> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   TlsVersion& out);
  static YamlValue Print(TlsVersion value, SecretPrint);
  static bool IsZero(TlsVersion value) { return value == TlsVersion::kUnset; }
  static void SetZero(TlsVersion& value) { value = TlsVersion::kUnset; }
};

template <>
struct Codec<JsonMap> {
  static constexpr std::string_view kGoType = "map[string]interface {}";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   JsonMap& out);
  static YamlValue Print(const JsonMap& value, SecretPrint);
  static bool IsZero(const JsonMap& value) { return value.values.empty(); }
  static void SetZero(JsonMap& value) { value.values.clear(); }
};

template <>
struct Schema<BasicAuth> {
  static constexpr std::string_view kGoType = "config.plain";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
};
template <>
struct Schema<Authorization> {
  static constexpr std::string_view kGoType = "config.Authorization";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
};
template <>
struct Schema<TlsConfig> {
  static constexpr std::string_view kGoType = "config.plain";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
  static Status Check(TlsConfig& config) { return config.Validate(); }
};
template <>
struct Schema<ProxyConfig> {
  static constexpr std::string_view kGoType = "config.ProxyConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
};
template <>
struct Schema<OAuth2> {
  static constexpr std::string_view kGoType = "config.plain";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
  static Status Check(OAuth2& config) { return config.proxy.Validate(); }
};
template <>
struct Schema<HeaderConfig> {
  static constexpr std::string_view kGoType = "config.Header";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields();
};
// Inlined nearly everywhere; then the outer section calls Validate() itself.
template <>
struct Schema<HttpClientConfig> {
  static constexpr std::string_view kGoType = "config.plain";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields();
  static Status Check(HttpClientConfig& config) { return config.Validate(); }
};

}  // namespace narthex
