#include "config/http_client_config.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "config/http_client_schema.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

int CountSet(std::initializer_list<bool> set) {
  return static_cast<int>(std::count(set.begin(), set.end(), true));
}

struct TlsVersionName {
  TlsVersion version;
  std::string_view name;
};
constexpr TlsVersionName kTlsVersions[] = {{TlsVersion::kTls10, "TLS10"},
                                           {TlsVersion::kTls11, "TLS11"},
                                           {TlsVersion::kTls12, "TLS12"},
                                           {TlsVersion::kTls13, "TLS13"}};

// Headers that belong to the connection, to us, or to another key of the configuration.
constexpr std::array<std::string_view, 18> kReservedHeaders = {
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
};

// "content-type" becomes "Content-Type"; a name with characters that no header has stays.
std::string CanonicalHeaderName(const std::string& name) {
  constexpr std::string_view kSpecial = "!#$%&'*+-.^_`|~";
  const auto is_letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  for (const char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (!is_letter(c) && !digit && kSpecial.find(c) == std::string_view::npos) return name;
  }
  std::string canonical = name;
  bool upper = true;
  for (char& c : canonical) {
    if (is_letter(c)) c = static_cast<char>(upper ? c & ~0x20 : c | 0x20);
    upper = c == '-';
  }
  return canonical;
}

Status ValidateBasicAuth(const BasicAuth& auth) {
  if (CountSet({!auth.username.empty(), !auth.username_file.empty(), !auth.username_ref.empty()}) >
      1) {
    return Invalid(
        "at most one of basic_auth username, username_file & username_ref must be configured");
  }
  if (CountSet({!auth.password.empty(), !auth.password_file.empty(), !auth.password_ref.empty()}) >
      1) {
    return Invalid(
        "at most one of basic_auth password, password_file & password_ref must be configured");
  }
  return {};
}

Status ValidateOAuth2(const OAuth2& oauth2) {
  if (oauth2.client_id.empty()) return Invalid("oauth2 client_id must be configured");
  if (oauth2.token_url.empty()) return Invalid("oauth2 token_url must be configured");
  if (oauth2.grant_type != kJwtBearerGrant) {
    if (CountSet({!oauth2.client_secret.empty(), !oauth2.client_secret_file.empty(),
                  !oauth2.client_secret_ref.empty()}) > 1) {
      return Invalid(
          "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
          "configured using grant-type=client_credentials");
    }
    return {};
  }
  if (CountSet({!oauth2.client_certificate_key.empty(), !oauth2.client_certificate_key_file.empty(),
                !oauth2.client_certificate_key_ref.empty()}) > 1) {
    return Invalid(
        "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
        "client_certificate_key_ref must be configured using "
        "grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer");
  }
  const std::string& algorithm = oauth2.signature_algorithm;
  if (!algorithm.empty() && algorithm != "RS256" && algorithm != "RS384" && algorithm != "RS512") {
    return Invalid("valid signature algorithms are RS256, RS384 and RS512");
  }
  return {};
}

}  // namespace

Status TlsConfig::Validate() const {
  if (CountSet({!ca.empty(), !ca_file.empty(), !ca_ref.empty()}) > 1) {
    return Invalid("at most one of ca, ca_file & ca_ref must be configured");
  }
  const int certs = CountSet({!cert.empty(), !cert_file.empty(), !cert_ref.empty()});
  if (certs > 1) return Invalid("at most one of cert, cert_file & cert_ref must be configured");
  const int keys = CountSet({!key.empty(), !key_file.empty(), !key_ref.empty()});
  if (keys > 1) return Invalid("at most one of key and key_file must be configured");
  if (certs > 0 && keys == 0) {
    return Invalid(
        "exactly one of key or key_file must be configured when a client certificate is "
        "configured");
  }
  if (keys > 0 && certs == 0) {
    return Invalid(
        "exactly one of cert or cert_file must be configured when a client key is configured");
  }
  return {};
}

Status TlsConfig::ValidateVersions() const {
  if (min_version != TlsVersion::kUnset && max_version != TlsVersion::kUnset &&
      max_version < min_version) {
    return Invalid(
        "tls_config.max_version must be greater than or equal to tls_config.min_version if both "
        "are specified");
  }
  return {};
}

Status ProxyConfig::Validate() const {
  const bool has_url = proxy_url && !proxy_url->ToString().empty();
  if (!proxy_connect_header.empty() && !proxy_from_environment && !has_url) {
    return Invalid(
        "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be "
        "configured");
  }
  if (proxy_from_environment && has_url) {
    return Invalid("if proxy_from_environment is configured, proxy_url must not be configured");
  }
  if (proxy_from_environment && !no_proxy.empty()) {
    return Invalid("if proxy_from_environment is configured, no_proxy must not be configured");
  }
  if (!proxy_url && !no_proxy.empty()) {
    return Invalid("if no_proxy is configured, proxy_url must also be configured");
  }
  return {};
}

Status HttpClientConfig::Validate() {
  const bool has_bearer = !bearer_token.empty() || !bearer_token_file.empty();
  if (!bearer_token.empty() && !bearer_token_file.empty()) {
    return Invalid("at most one of bearer_token & bearer_token_file must be configured");
  }
  if ((basic_auth || oauth2) && has_bearer) {
    return Invalid(
        "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
  }
  if (basic_auth) NARTHEX_RETURN_IF_ERROR(ValidateBasicAuth(*basic_auth));
  if (authorization) {
    if (has_bearer) {
      return Invalid("authorization is not compatible with bearer_token & bearer_token_file");
    }
    if (CountSet({!authorization->credentials.empty(), !authorization->credentials_file.empty(),
                  !authorization->credentials_ref.empty()}) > 1) {
      return Invalid(
          "at most one of authorization credentials & credentials_file must be configured");
    }
    authorization->type = TrimSpace(std::string(authorization->type));
    if (authorization->type.empty()) authorization->type = "Bearer";
    if (ToLower(authorization->type) == "basic") {
      return Invalid("authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    }
    if (basic_auth || oauth2) {
      return Invalid("at most one of basic_auth, oauth2 & authorization must be configured");
    }
  } else if (has_bearer) {
    authorization = Authorization{.type = "Bearer",
                                  .credentials = std::exchange(bearer_token, {}),
                                  .credentials_file = std::exchange(bearer_token_file, {}),
                                  .credentials_ref = {}};
  }
  if (oauth2) {
    if (basic_auth) {
      return Invalid("at most one of basic_auth, oauth2 & authorization must be configured");
    }
    NARTHEX_RETURN_IF_ERROR(ValidateOAuth2(*oauth2));
  }
  NARTHEX_RETURN_IF_ERROR(proxy.Validate());
  for (const auto& [name, header] : http_headers) {
    const std::string canonical = CanonicalHeaderName(name);
    if (std::find(kReservedHeaders.begin(), kReservedHeaders.end(), canonical) !=
        kReservedHeaders.end()) {
      return Invalid(fmt::format("setting header {} is not allowed", GoQuote(canonical)));
    }
  }
  return {};
}

bool Codec<Url>::Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                      Url& out) {
  std::string text;
  if (!decoder.ReadText(node, go_type, &text)) return false;
  Result<Url> url = Url::Parse(text);
  if (!url.ok()) {
    decoder.Fail(url.status());
    return false;
  }
  out = *std::move(url);
  return true;
}

bool Codec<TlsVersion>::Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                             TlsVersion& out) {
  std::string text;
  if (!decoder.ReadText(node, go_type, &text)) return false;
  for (const TlsVersionName& entry : kTlsVersions) {
    if (entry.name == text) {
      out = entry.version;
      return true;
    }
  }
  decoder.Fail(MakeError(ErrorCode::kInvalidInput, "unknown TLS version: {}", text));
  return false;
}

YamlValue Codec<TlsVersion>::Print(TlsVersion value, SecretPrint) {
  for (const TlsVersionName& entry : kTlsVersions) {
    if (entry.version == value) return YamlValue::Text(entry.name);
  }
  return YamlValue::Text("");
}

namespace {

// Any YAML as JSON. False: the reading failed.
bool AppendJson(YamlDecoder& decoder, const YamlNode& node, std::string* out) {
  return decoder.Visit(node, [&](const YamlNode& at) {
    if (at.kind == YamlNode::Kind::kSequence) {
      *out += '[';
      for (const YamlNode* child : at.children) {
        if (child != at.children.front()) *out += ',';
        if (!AppendJson(decoder, *child, out)) return false;
      }
      *out += ']';
      return true;
    }
    if (at.kind == YamlNode::Kind::kMapping) {
      std::map<std::string, std::string> members;
      decoder.ForEachPair(at, [&](const std::string& key, const YamlNode&, const YamlNode& value) {
        std::string text;
        if (AppendJson(decoder, value, &text)) members[key] = std::move(text);
      });
      *out += '{';
      for (const auto& [key, text] : members) {
        if (out->back() != '{') *out += ',';
        AppendJsonString(key, JsonEscape::kPlain, out);
        *out += ':' + text;
      }
      *out += '}';
      return !decoder.failed();
    }
    const auto scalar = decoder.Resolve(at);
    if (!scalar) return false;
    switch (scalar->type) {
      case YamlScalar::Type::kNull: *out += "null"; break;
      case YamlScalar::Type::kBool: *out += scalar->boolean ? "true" : "false"; break;
      case YamlScalar::Type::kInt: *out += std::to_string(scalar->integer); break;
      case YamlScalar::Type::kUint: *out += std::to_string(scalar->unsigned_integer); break;
      case YamlScalar::Type::kFloat: *out += FormatFloatG(scalar->number); break;
      default: AppendJsonString(scalar->text, JsonEscape::kPlain, out);
    }
    return true;
  });
}

// JSON is YAML, so that it can be printed as such.
YamlValue ValueOf(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kSequence) {
    YamlValue list = YamlValue::Sequence();
    for (const YamlNode* child : node.children) list.Add(ValueOf(*child));
    return list;
  }
  if (node.kind == YamlNode::Kind::kMapping) {
    YamlValue mapping = YamlValue::Mapping();
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      mapping.Add(node.children[i]->value, ValueOf(*node.children[i + 1]));
    }
    return mapping;
  }
  if (node.is_null()) return YamlValue::Null();
  return node.plain ? YamlValue::Verbatim(node.value) : YamlValue::Text(node.value);
}

}  // namespace

bool Codec<JsonMap>::Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                          JsonMap& out) {
  if (node.kind != YamlNode::Kind::kMapping) {
    decoder.AddMismatch(node, go_type);
    return false;
  }
  decoder.ForEachPair(node, [&](const std::string& key, const YamlNode&, const YamlNode& value) {
    std::string text;
    if (!AppendJson(decoder, value, &text)) return;
    if (!out.values.emplace(key, std::move(text)).second) {
      decoder.AddError(value, "key " + GoQuote(key) + " already set in map");
    }
  });
  return !decoder.failed();
}

YamlValue Codec<JsonMap>::Print(const JsonMap& value, SecretPrint) {
  YamlValue mapping = YamlValue::Mapping();
  for (const auto& [key, text] : value.values) {
    const Result<YamlDocument> document = YamlDocument::Parse(text);
    const bool readable = document.ok() && document->root() != nullptr;
    mapping.Add(key, readable ? ValueOf(*document->root()) : YamlValue::Text(text));
  }
  return mapping;
}

FieldList Schema<BasicAuth>::Fields() {
  return {Field<&BasicAuth::username>("username", kOmitEmpty),
          Field<&BasicAuth::username_file>("username_file", kOmitEmpty | kPath),
          Field<&BasicAuth::username_ref>("username_ref", kOmitEmpty),
          Field<&BasicAuth::password>("password", kOmitEmpty),
          Field<&BasicAuth::password_file>("password_file", kOmitEmpty | kPath),
          Field<&BasicAuth::password_ref>("password_ref", kOmitEmpty)};
}

FieldList Schema<Authorization>::Fields() {
  return {Field<&Authorization::type>("type", kOmitEmpty),
          Field<&Authorization::credentials>("credentials", kOmitEmpty),
          Field<&Authorization::credentials_file>("credentials_file", kOmitEmpty | kPath),
          Field<&Authorization::credentials_ref>("credentials_ref", kOmitEmpty)};
}

FieldList Schema<TlsConfig>::Fields() {
  return {Field<&TlsConfig::ca>("ca", kOmitEmpty),
          Field<&TlsConfig::cert>("cert", kOmitEmpty),
          Field<&TlsConfig::key>("key", kOmitEmpty),
          Field<&TlsConfig::ca_file>("ca_file", kOmitEmpty | kPath),
          Field<&TlsConfig::cert_file>("cert_file", kOmitEmpty | kPath),
          Field<&TlsConfig::key_file>("key_file", kOmitEmpty | kPath),
          Field<&TlsConfig::ca_ref>("ca_ref", kOmitEmpty),
          Field<&TlsConfig::cert_ref>("cert_ref", kOmitEmpty),
          Field<&TlsConfig::key_ref>("key_ref", kOmitEmpty),
          Field<&TlsConfig::server_name>("server_name", kOmitEmpty),
          Field<&TlsConfig::insecure_skip_verify>("insecure_skip_verify"),
          Field<&TlsConfig::min_version>("min_version", kOmitEmpty),
          Field<&TlsConfig::max_version>("max_version", kOmitEmpty)};
}

FieldList Schema<ProxyConfig>::Fields() {
  return {Field<&ProxyConfig::proxy_url>("proxy_url", kOmitEmpty),
          Field<&ProxyConfig::no_proxy>("no_proxy", kOmitEmpty),
          Field<&ProxyConfig::proxy_from_environment>("proxy_from_environment", kOmitEmpty),
          Field<&ProxyConfig::proxy_connect_header>("proxy_connect_header", kOmitEmpty,
                                                    "config.ProxyHeader")};
}

// Upstream does not join client_certificate_key_file to the folder; neither do we.
FieldList Schema<OAuth2>::Fields() {
  return Concat(
      Field<&OAuth2::client_id>("client_id", kOmitEmpty),
      Field<&OAuth2::client_secret>("client_secret", kOmitEmpty),
      Field<&OAuth2::client_secret_file>("client_secret_file", kOmitEmpty | kPath),
      Field<&OAuth2::client_secret_ref>("client_secret_ref", kOmitEmpty),
      Field<&OAuth2::client_certificate_key_id>("client_certificate_key_id", kOmitEmpty),
      Field<&OAuth2::client_certificate_key>("client_certificate_key", kOmitEmpty),
      Field<&OAuth2::client_certificate_key_file>("client_certificate_key_file", kOmitEmpty),
      Field<&OAuth2::client_certificate_key_ref>("client_certificate_key_ref", kOmitEmpty),
      Field<&OAuth2::grant_type>("grant_type", kOmitEmpty),
      Field<&OAuth2::signature_algorithm>("signature_algorithm", kOmitEmpty),
      Field<&OAuth2::iss>("iss", kOmitEmpty), Field<&OAuth2::audience>("audience", kOmitEmpty),
      Field<&OAuth2::claims>("claims", kOmitEmpty), Field<&OAuth2::scopes>("scopes", kOmitEmpty),
      Field<&OAuth2::token_url>("token_url", kOmitEmpty),
      Field<&OAuth2::endpoint_params>("endpoint_params", kOmitEmpty),
      Field<&OAuth2::tls_config>("tls_config", kOmitEmpty), Inline<&OAuth2::proxy>());
}

FieldList Schema<HeaderConfig>::Fields() {
  return {Field<&HeaderConfig::values>("values", kOmitEmpty),
          Field<&HeaderConfig::secrets>("secrets", kOmitEmpty, "[]config.Secret"),
          Field<&HeaderConfig::files>("files", kOmitEmpty | kPath)};
}

FieldList Schema<HttpClientConfig>::Fields() {
  return Concat(
      Field<&HttpClientConfig::basic_auth>("basic_auth", kOmitEmpty),
      Field<&HttpClientConfig::authorization>("authorization", kOmitEmpty),
      Field<&HttpClientConfig::oauth2>("oauth2", kOmitEmpty),
      Field<&HttpClientConfig::bearer_token>("bearer_token", kOmitEmpty),
      Field<&HttpClientConfig::bearer_token_file>("bearer_token_file", kOmitEmpty | kPath),
      Field<&HttpClientConfig::tls_config>("tls_config", kOmitEmpty),
      Field<&HttpClientConfig::follow_redirects>("follow_redirects"),
      Field<&HttpClientConfig::enable_http2>("enable_http2"), Inline<&HttpClientConfig::proxy>(),
      Field<&HttpClientConfig::http_headers>("http_headers", kOmitEmpty, "config.Headers"));
}

Result<HttpClientConfig> ParseHttpClientConfig(std::string_view yaml) {
  HttpClientConfig config;
  // As upstream: an empty file is the zero block, in which redirects and HTTP/2 are off.
  Codec<HttpClientConfig>::SetZero(config);
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, config));
  return config;
}

Result<TlsConfig> ParseTlsConfig(std::string_view yaml) {
  TlsConfig config;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, config));
  return config;
}

void SetDirectory(HttpClientConfig& config, std::string_view directory) {
  SetStructDirectory(FieldsOf<HttpClientConfig>(), &config, directory);
}

}  // namespace narthex
