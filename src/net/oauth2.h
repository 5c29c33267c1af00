// OAuth2 without a user: tokens by client credentials (RFC 6749, 4.4) or by a signed assertion
// (RFC 7523), asked for when the first request needs one and again shortly before it ends.
//
//   request ─▶ token valid? ─▶ Authorization: Bearer …
//                  │ no
//                  ▼
//              one POST to token_url for all who wait
//
// A changed secret file ends the token. Error texts are those of Go's oauth2 package.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/http_client.h"

namespace narthex::net {

struct OAuth2Options {
  std::string client_id;
  // The client's secret, or with `jwt_bearer` the private key in PEM: itself, or the file's.
  std::string secret, secret_file;
  std::string token_url;
  std::vector<std::string> scopes;
  std::vector<std::pair<std::string, std::string>> endpoint_params;
  // How the token is fetched: TLS and proxy. Never null.
  std::shared_ptr<const HttpClientOptions> http;

  bool jwt_bearer = false;
  std::string key_id;
  std::string signature_algorithm;                          // RS256 (if empty), RS384, RS512.
  std::string issuer;                                       // Empty: the client.
  std::string audience;                                     // Empty: token_url.
  std::vector<std::pair<std::string, std::string>> claims;  // Name and JSON.

  std::function<int64_t()> unix_seconds;  // Wall clock; tests replace it.
};

std::shared_ptr<RequestAuthorizer> MakeOAuth2Authorizer(OAuth2Options options);

}  // namespace narthex::net
