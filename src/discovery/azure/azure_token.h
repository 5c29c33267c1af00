// Access tokens for Azure's resource manager, by the authentication methods of azure_sd_configs:
//
//   OAuth             tenant, client and secret of the entry
//   WorkloadIdentity  the token in a file that AZURE_FEDERATED_TOKEN_FILE names, traded for one
//   ManagedIdentity   the identity of the machine (metadata service) or of the App Service
//   SDK               the first that is set up: AZURE_CLIENT_SECRET and its companions in the
//                     environment, workload identity, managed identity; AZURE_TOKEN_CREDENTIALS
//                     chooses among them
//
// A token is kept until five minutes before its end. Token requests use no HTTP client options of
// the entry, as upstream's do not. On the discovery loop.
#pragma once

#include <string>

#include "config/sd_mechanisms.h"
#include "discovery/http/access_token.h"
#include "net/url.h"

namespace narthex {

struct AzureCloud {
  std::string authority;  // "https://login.microsoftonline.com/"
  std::string endpoint;   // "https://management.azure.com"
  std::string audience;   // "https://management.core.windows.net/"
};

// Errors: `there is no cloud configuration matching the name "X"`.
Result<AzureCloud> AzureCloudOf(const std::string& environment);

// Sends a request, up to three times more when the server is busy or fails, with growing pauses or
// those that it asks for.
Async<Result<FetchResponse>> SendToAzure(const ApiClient& api, FetchRequest request);

class AzureToken {
 public:
  AzureToken(const ApiClient& api, const AzureSdConfig& config);
  Async<Result<std::string>> Get(AzureCloud cloud);
  void Drop() { token_.Drop(); }

 private:
  Result<FetchRequest> Request(const AzureCloud& cloud) const;
  Result<FetchRequest> FromDefaultChain(const AzureCloud& cloud) const;
  FetchRequest WithSecret(const AzureCloud& cloud, const std::string& tenant,
                          const std::string& client, const std::string& secret) const;
  Result<FetchRequest> FromWorkloadIdentity(const AzureCloud& cloud,
                                            const std::string& tenant) const;
  Result<FetchRequest> FromManagedIdentity(const AzureCloud& cloud,
                                           const std::string& client) const;
  FetchRequest TokenRequest(const AzureCloud& cloud, const std::string& tenant,
                            net::FormValues form) const;

  const ApiClient& api_;
  const AzureSdConfig& config_;
  const std::shared_ptr<const HttpClientConfig> plain_client_;
  AccessToken token_;
};

}  // namespace narthex
