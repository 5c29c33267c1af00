// The TLS side of a server: certificate, client certificates, versions, ciphers.
//
// Everything is text in memory; who serves reads the files, for each handshake, so that a renewed
// certificate is in force at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

struct ssl_ctx_st;

namespace narthex::net {

enum class ClientCertificates : uint8_t {
  kNone,
  kRequest,           // Asked for, may be missing, not verified.
  kRequireAny,        // Must be there, not verified.
  kVerifyIfGiven,     // May be missing.
  kRequireAndVerify,  // Must be there and verify.
};

struct TlsServerOptions {
  std::string certificate_pem;  // The chain, own certificate first.
  std::string key_pem;
  ClientCertificates client_certificates = ClientCertificates::kNone;
  std::string client_ca_pem;  // Empty: the system's authorities.
  // If set, a client's certificate must have one of these names.
  std::optional<std::vector<std::string>> client_allowed_sans;
  std::string min_version = "TLS12";  // TLS10 … TLS13
  std::string max_version = "TLS13";
  std::vector<std::string> cipher_suites;      // Go's names; empty: the defaults.
  bool http2 = true;                           // Offered to clients; HTTP/1.1 always is.
  std::vector<std::string> curve_preferences;  // CurveP256, CurveP384, CurveP521, X25519.

  friend bool operator==(const TlsServerOptions&, const TlsServerOptions&) = default;
};

// An OpenSSL context. Errors in Go's words: `failed to load X509KeyPair: tls: private key does not
// match public key`.
Result<std::shared_ptr<ssl_ctx_st>> MakeTlsServerContext(const TlsServerOptions& options);

}  // namespace narthex::net
