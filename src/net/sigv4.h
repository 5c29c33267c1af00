// Signs requests with AWS Signature Version 4, with credentials found as aws_credentials.h says.
#pragma once

#include <memory>
#include <string>

#include "net/aws_credentials.h"
#include "net/http_client.h"

namespace narthex::net {

struct SigV4Options {
  AwsOptions aws;
  std::string service;  // Empty: "aps", Amazon's Prometheus.
};

// Errors of the requests: `error retrieving credentials: …`, `region not configured in sigv4 or in
// default credentials chain`. `client` asks for credentials and outlives the authorizer's requests.
std::shared_ptr<RequestAuthorizer> MakeSigV4Authorizer(SigV4Options options, HttpClient& client);

}  // namespace narthex::net
