// Access tokens for Google's APIs, found as its own libraries do ("application default
// credentials"):
//
//   1. the file that GOOGLE_APPLICATION_CREDENTIALS names
//   2. ~/.config/gcloud/application_default_credentials.json
//   3. the machine's service account, from the metadata server
//
// Files of service accounts and of users are known; other kinds are an error. A token is kept until
// shortly before it ends. On the discovery loop.
#pragma once

#include <string>

#include "discovery/http/access_token.h"

namespace narthex {

class GoogleToken {
 public:
  explicit GoogleToken(const ApiClient& api);
  Async<Result<std::string>> Get();

 private:
  Async<Result<std::string>> FromFile(std::string text, std::string path);
  Async<Result<std::string>> Fetch(FetchRequest request);

  const ApiClient& api_;
  AccessToken token_;
};

}  // namespace narthex
