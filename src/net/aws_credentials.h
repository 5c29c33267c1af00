// Where AWS credentials come from, asked in the order of Amazon's own libraries:
//
//   1. keys given in the configuration
//   2. the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//      (passed over when the configuration names a profile)
//   3. a web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, traded at STS
//   4. the profile in ~/.aws/credentials and ~/.aws/config: keys, or a role with its source
//   5. the container's agent: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
//   6. the machine's role, from the instance metadata service (version 2)
//
// With `role_arn` set, what was found signs an AssumeRole request, whose answer is used.
//
// Credentials are kept until shortly before they end; callers who ask meanwhile share one request.
// Threads: all methods from any thread; callbacks run on the fetcher's or the caller's, and must
// not block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/aws_signer.h"
#include "net/http_client.h"
#include "util/status.h"

namespace narthex::net {

using AwsFetch = std::function<void(HttpClientRequest, HttpClient::Callback)>;

struct AwsOptions {
  std::string region;  // Empty: environment, profile, then the machine's own.
  std::string access_key;
  std::string secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  std::string session_name;
  std::vector<std::pair<std::string, std::string>> tags;
  bool use_fips_sts_endpoint = false;

  // What tests replace.
  std::function<std::optional<std::string>(const std::string& name)> environment;  // getenv
  std::function<int64_t()> unix_seconds;                                           // wall clock
  std::string sts_endpoint;       // "https://sts.<region>.amazonaws.com"
  std::string metadata_endpoint;  // "http://169.254.169.254"
};

class AwsCredentialsProvider {
 public:
  virtual ~AwsCredentialsProvider() = default;
  virtual void Get(std::function<void(Result<AwsCredentials>)> done) = 0;
  // The region in force. An error when nothing names one.
  virtual void GetRegion(std::function<void(Result<std::string>)> done) = 0;
};

// `fetch` must work as long as the provider lives and call back exactly once.
std::shared_ptr<AwsCredentialsProvider> MakeAwsCredentialsProvider(AwsOptions options,
                                                                   AwsFetch fetch);

}  // namespace narthex::net
