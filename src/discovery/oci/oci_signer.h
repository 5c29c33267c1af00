// Requests to Oracle's cloud, signed with an API key: draft-cavage-http-signatures, version 1, over
// the date, the request line and the host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http_client.h"
#include "util/status.h"

namespace narthex {

struct OciKey {
  std::string id;  // "<tenancy>/<user>/<fingerprint>"
  std::string private_key_pem;
  std::string passphrase;  // Empty: the key is not encrypted.
};

// The header fields Date and Authorization of a GET request.
Result<net::HeaderFields> SignOciGet(std::string_view url, const OciKey& key, int64_t unix_seconds);

}  // namespace narthex
