#include "net/sigv4.h"

#include <ctime>

#include "util/strings.h"

namespace narthex::net {
namespace {

class SigV4Authorizer : public RequestAuthorizer,
                        public std::enable_shared_from_this<SigV4Authorizer> {
 public:
  SigV4Authorizer(SigV4Options options, HttpClient& client)
      : service_(options.service.empty() ? "aps" : options.service),
        unix_seconds_(options.aws.unix_seconds) {
    if (!unix_seconds_) unix_seconds_ = [] { return int64_t{std::time(nullptr)}; };
    provider_ = MakeAwsCredentialsProvider(
        std::move(options.aws), [&client](HttpClientRequest request, HttpClient::Callback done) {
          client.Fetch(std::move(request), std::move(done));
        });
  }

  void Authorize(HttpClient&, const HttpClientRequest& request,
                 std::function<void(Result<HeaderFields>)> done) override {
    // The request goes on living elsewhere while credentials are found.
    HttpClientRequest copy;
    copy.method = request.method;
    copy.url = request.url;
    copy.body = request.body;
    copy.headers = request.headers;
    // Tracing fields are changed on the way.
    std::erase_if(copy.headers,
                  [](const auto& field) { return ToLower(field.first) == "uber-trace-id"; });
    provider_->GetRegion([self = shared_from_this(), copy = std::move(copy),
                          done = std::move(done)](Result<std::string> region) mutable {
      if (!region.ok()) {
        done(Status(ErrorCode::kInvalidInput,
                    "region not configured in sigv4 or in default credentials chain"));
        return;
      }
      self->Sign(*std::move(region), std::move(copy), std::move(done));
    });
  }

 private:
  void Sign(std::string region, HttpClientRequest request,
            std::function<void(Result<HeaderFields>)> done) {
    provider_->Get([self = shared_from_this(), region = std::move(region),
                    request = std::move(request),
                    done = std::move(done)](Result<AwsCredentials> credentials) {
      if (!credentials.ok()) {
        done(credentials.status().WithPrefix("error retrieving credentials: "));
        return;
      }
      done(SignAwsRequest(request.method, request.url, request.headers, request.body, *credentials,
                          {region, self->service_}, self->unix_seconds_()));
    });
  }

  const std::string service_;
  std::function<int64_t()> unix_seconds_;
  std::shared_ptr<AwsCredentialsProvider> provider_;
};

}  // namespace

std::shared_ptr<RequestAuthorizer> MakeSigV4Authorizer(SigV4Options options, HttpClient& client) {
  return std::make_shared<SigV4Authorizer>(std::move(options), client);
}

}  // namespace narthex::net
