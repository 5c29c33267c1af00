// Calls of the services of an OpenStack cloud: a token and the catalog of services from Keystone
// (version 3), then lists from any of them. For .cc files only: it shows Boost.JSON. On the
// discovery loop.
#pragma once

#include <string>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"

namespace narthex {

class OpenstackClient {
 public:
  OpenstackClient(const ApiClient& api, const OpenstackSdConfig& config);

  // Errors: `could not authenticate to OpenStack: …`.
  Async<Status> Authenticate();
  // The base of a service by its type ("compute"), with a slash at the end. After Authenticate.
  // Errors: `No suitable endpoint could be determined …`.
  Result<std::string> Endpoint(std::string_view type) const;
  // All pages of a list: the members called `key`.
  Async<Result<json::array>> List(std::string url, std::string key);

 private:
  json::object AuthRequest() const;

  const ApiClient& api_;
  OpenstackSdConfig config_;
  std::string token_;
  json::array catalog_;
};

}  // namespace narthex
