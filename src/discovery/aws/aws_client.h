// Signed calls of one AWS service in one region. On the discovery loop.
//
// Credentials and the region are looked for as Amazon's libraries do (net/aws_credentials.h), when
// the first call is made. Calls that are throttled or meet a server's error are made up to three
// times. Errors read as the SDK for Go words them:
// `operation error EC2: DescribeInstances, https response error StatusCode: 403, api error
// AuthFailure: …`.
#pragma once

#include <boost/json/fwd.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "discovery/async.h"
#include "discovery/http/api_client.h"
#include "net/aws_credentials.h"
#include "net/url.h"

namespace pugi {
class xml_document;
}

namespace narthex {

struct AwsAccess {
  std::string region;
  std::string endpoint;  // Empty: https://<service>.<region>.amazonaws.com
  std::string access_key;
  std::string secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
};

// The keys that all AWS entries have.
template <typename Config>
AwsAccess AccessOf(const Config& config) {
  return {config.region,  config.endpoint, config.access_key, config.secret_key.value,
          config.profile, config.role_arn, config.external_id};
}

class AwsClient {
 public:
  // `service` as in host names ("ec2"), `title` as in errors ("EC2").
  AwsClient(const ApiClient& api, std::shared_ptr<const HttpClientConfig> http, AwsAccess access,
            std::string service, std::string title);

  // The region in force. Errors: `could not determine AWS region …`.
  Async<Result<std::string>> Region();
  // A call of a query API: a form, answered in XML.
  Async<Result<std::string>> Query(std::string action, net::FormValues form);
  // The same, taken apart.
  Async<Status> QueryXml(std::string action, net::FormValues form, pugi::xml_document* document);
  // A question to a REST API; the path is encoded.
  Async<Result<boost::json::object>> GetJson(std::string operation, std::string path,
                                             net::FormValues query);
  // A call of a JSON API by its X-Amz-Target, answered in JSON.
  Async<Result<std::string>> Call(std::string target, std::string body);

 private:
  struct Message {
    std::string operation;
    std::string content_type;
    std::string target;  // Empty: none.
    std::string body;
    std::string method = "POST";
    std::string path;  // Behind the endpoint and its slash, with the query.
  };
  Async<Result<std::string>> Send(Message message);
  Async<Result<FetchResponse>> SendOnce(const Message& message);
  net::AwsCredentialsProvider& Provider();

  const ApiClient& api_;
  const std::shared_ptr<const HttpClientConfig> http_;
  const AwsAccess access_;
  const std::string service_;
  const std::string title_;
  std::shared_ptr<net::AwsCredentialsProvider> provider_;
  std::string region_;  // Empty: not known yet.
};

}  // namespace narthex
