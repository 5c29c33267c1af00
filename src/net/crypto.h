// The few cryptographic functions that signing requests and checking passwords need.
#pragma once

#include <string>
#include <string_view>

#include "util/status.h"

namespace narthex::net {

// 20 raw bytes. For APIs that ask for it; not for anything new.
std::string Sha1(std::string_view bytes);
// 32 raw bytes each.
std::string Sha256(std::string_view bytes);
std::string HmacSha256(std::string_view key, std::string_view bytes);

// Lower case.
std::string HexEncode(std::string_view bytes);

std::string Base64Encode(std::string_view bytes);
// The URL alphabet without padding, as JSON web tokens want it.
std::string Base64UrlEncode(std::string_view bytes);
// The standard alphabet; padding may be left out. Anything else is an error.
Result<std::string> Base64Decode(std::string_view text);

// The RSASSA-PKCS1-v1_5 signature of `bytes` by a private key in PEM. `hash`: SHA256, SHA384,
// SHA512. `passphrase` is for a key that is encrypted.
Result<std::string> RsaSign(std::string_view private_key_pem, std::string_view hash,
                            std::string_view bytes, std::string_view passphrase = {});

// A signed JSON web token (RFC 7519): base64url(header) "." base64url(claims) "."
// base64url(signature). `hash` as RsaSign takes it: SHA256 for RS256.
Result<std::string> SignJwt(std::string_view header_json, std::string_view claims_json,
                            std::string_view private_key_pem, std::string_view hash);

// Takes the same time wherever the texts of equal length differ.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// Random bytes from the system's generator.
std::string RandomBytes(size_t count);
// A random (version 4) UUID, in lower case.
std::string RandomUuid();

}  // namespace narthex::net
