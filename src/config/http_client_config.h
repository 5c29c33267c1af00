// How an HTTP client of ours authenticates, encrypts and finds its proxy: the block that scrape
// configs, alertmanagers, remote endpoints and most discovery mechanisms share.
//
// Credential and TLS files are named here and read by whoever makes the request, each time.
// Specification: parity/config.md section 5.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/url.h"
#include "config/values.h"
#include "util/status.h"

namespace narthex {

struct BasicAuth {
  std::string username;
  std::string username_file;
  std::string username_ref;
  Secret password;
  std::string password_file;
  std::string password_ref;
  friend bool operator==(const BasicAuth&, const BasicAuth&) = default;
};

struct Authorization {
  std::string type;  // "Bearer" after validation where nothing was set.
  Secret credentials;
  std::string credentials_file;
  std::string credentials_ref;
  friend bool operator==(const Authorization&, const Authorization&) = default;
};

enum class TlsVersion : uint8_t { kUnset, kTls10, kTls11, kTls12, kTls13 };

struct TlsConfig {
  std::string ca;
  std::string cert;
  Secret key;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string ca_ref;
  std::string cert_ref;
  std::string key_ref;
  std::string server_name;
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::kUnset;
  TlsVersion max_version = TlsVersion::kUnset;

  Status Validate() const;
  // Upstream looks at the versions only when it makes the client.
  Status ValidateVersions() const;
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct ProxyConfig {
  std::optional<Url> proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  SecretListMap proxy_connect_header;

  Status Validate() const;
  friend bool operator==(const ProxyConfig&, const ProxyConfig&) = default;
};

inline constexpr std::string_view kJwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";

struct OAuth2 {
  std::string client_id;
  Secret client_secret;
  std::string client_secret_file;
  std::string client_secret_ref;
  std::string client_certificate_key_id;
  Secret client_certificate_key;
  std::string client_certificate_key_file;
  std::string client_certificate_key_ref;
  std::string grant_type;  // "" is client_credentials.
  std::string signature_algorithm;
  std::string iss;
  std::string audience;
  JsonMap claims;
  std::vector<std::string> scopes;
  std::string token_url;
  TextMap endpoint_params;
  TlsConfig tls_config;
  ProxyConfig proxy;
  friend bool operator==(const OAuth2&, const OAuth2&) = default;
};

struct HeaderConfig {
  std::vector<std::string> values;
  std::vector<Secret> secrets;
  std::vector<std::string> files;
  friend bool operator==(const HeaderConfig&, const HeaderConfig&) = default;
};

struct HttpClientConfig {
  std::optional<BasicAuth> basic_auth;
  std::optional<Authorization> authorization;
  std::optional<OAuth2> oauth2;
  Secret bearer_token;            // Moved into `authorization` by Validate().
  std::string bearer_token_file;  // Likewise.
  TlsConfig tls_config;
  bool follow_redirects = true;
  bool enable_http2 = true;
  ProxyConfig proxy;
  std::map<std::string, HeaderConfig> http_headers;

  // Upstream's checks; also rewrites the deprecated bearer_token keys.
  Status Validate();
  friend bool operator==(const HttpClientConfig&, const HttpClientConfig&) = default;
};

// Reads a file that holds such a block alone (promtool's --http.config.file).
Result<HttpClientConfig> ParseHttpClientConfig(std::string_view yaml);
// Likewise of a TLS block alone.
Result<TlsConfig> ParseTlsConfig(std::string_view yaml);
// Joins every relative file name in it with `directory`.
void SetDirectory(HttpClientConfig& config, std::string_view directory);

}  // namespace narthex
