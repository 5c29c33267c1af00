// AWS Signature Version 4: proves who sent a request without sending the secret.
//
//   canonical request   method, path, query, signed header fields, hash of the body
//   text to sign        "AWS4-HMAC-SHA256", time, date/region/service/aws4_request, hash of that
//   key                 HMAC chain: "AWS4" + secret -> date -> region -> service -> "aws4_request"
//
// Pure: time and credentials come in, header fields go out. aws_credentials.h finds credentials.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/status.h"

namespace narthex::net {

struct AwsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;         // Of temporary credentials only.
  int64_t expires_unix_seconds = 0;  // 0: never.
};

struct AwsSigningScope {
  std::string region;
  std::string service;  // "ec2", "aps", …
};

using HeaderFields = std::vector<std::pair<std::string, std::string>>;

// The fields to add to a request: X-Amz-Date, X-Amz-Security-Token for temporary credentials, and
// Authorization. `headers` are signed too, so they must be sent as they are here; fields that
// proxies may change (User-Agent, Expect, …) are left unsigned. The URL must be sent as it is.
Result<HeaderFields> SignAwsRequest(std::string_view method, std::string_view url,
                                    const HeaderFields& headers, std::string_view body,
                                    const AwsCredentials& credentials, const AwsSigningScope& scope,
                                    int64_t unix_seconds);

// The same URL with "//" and dot segments taken out of its path, which the signature wants.
Result<std::string> CleanAwsUrl(std::string_view url);

}  // namespace narthex::net
