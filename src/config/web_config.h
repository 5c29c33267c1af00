// The file behind --web.config.file: TLS, users, headers and rate limit of an HTTP server. Every
// program of the ecosystem takes the same one.
//
// It is read anew for every request (users, headers) and every TLS handshake, by whoever serves.
// Specification: parity/config.md section 15.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/http_client_config.h"
#include "config/values.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex {

enum class ClientAuthType : uint8_t {
  kNoClientCert,
  kRequestClientCert,
  kRequireAnyClientCert,
  kVerifyClientCertIfGiven,
  kRequireAndVerifyClientCert,
};

struct TlsServerConfig {
  std::string cert;
  Secret key;
  std::string client_ca;
  std::string cert_file;
  std::string key_file;
  std::string client_auth_type;
  std::string client_ca_file;
  std::vector<std::string> cipher_suites;      // Go's names, all known.
  std::vector<std::string> curve_preferences;  // CurveP256, CurveP384, CurveP521, X25519.
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  bool prefer_server_cipher_suites = true;  // Accepted, without effect.
  std::vector<std::string> client_allowed_sans;

  // Whether the file asks for TLS at all.
  bool is_enabled() const;
  // What can be said without reading certificates: `missing one of cert or cert_file`, …. Only when
  // it is enabled.
  Status Validate() const;
  Result<ClientAuthType> ParseClientAuthType() const;
};

struct HttpServerConfig {
  bool http2 = true;
  TextMap headers;
};

struct RateLimitConfig {
  int64_t burst = 0;
  int64_t interval_nanos = 0;  // One request is let through each; 0: no limit.
};

struct WebConfig {
  TlsServerConfig tls_server_config;
  HttpServerConfig http_server_config;
  RateLimitConfig rate_limit;
  std::map<std::string, Secret> basic_auth_users;  // Name to bcrypt hash.

  // Whether every hash is one, as checked at start.
  Status ValidateUsers() const;
};

// Strict; headers are checked. Errors as upstream's, without the name of the file.
Result<WebConfig> ParseWebConfig(std::string_view yaml);
// Reads a file; relative names in it are joined to its folder.
Result<WebConfig> LoadWebConfigFile(const std::string& path,
                                    FileSystem& files = FileSystem::Posix());

}  // namespace narthex
