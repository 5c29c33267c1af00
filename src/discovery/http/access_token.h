// OAuth2 access tokens for APIs whose clouds hand them out: asked for, read, and kept until shortly
// before they end. On the discovery loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "discovery/http/api_client.h"

namespace narthex {

class AccessToken {
 public:
  // A token that ends within `margin_seconds` is not used any more.
  AccessToken(const ApiClient& api, int64_t margin_seconds)
      : api_(api), margin_seconds_(margin_seconds) {}

  // The token at hand, if it is still good.
  std::optional<std::string> Kept() const;
  // Asks for a token and keeps it.
  Async<Result<std::string>> Fetch(FetchRequest request);
  // Keeps the token of an answer. Errors: `status 401 Unauthorized: <what the server says>`.
  Result<std::string> Keep(const FetchResponse& answer);
  void Drop() { token_.clear(); }

 private:
  const ApiClient& api_;
  const int64_t margin_seconds_;
  std::string token_;
  int64_t good_until_nanos_ = 0;
};

}  // namespace narthex
