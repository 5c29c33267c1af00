// Calls of the Docker Engine's API, which both docker_sd_configs and dockerswarm_sd_configs make:
// over TCP, TLS or a unix socket, in the version that the daemon speaks.
//
// For .cc files only: it shows Boost.JSON. On the discovery loop.
#pragma once

#include <string>
#include <vector>

#include "config/sd_mechanisms.h"
#include "discovery/http/json_api.h"

namespace narthex {

class DockerEngine {
 public:
  // `host`: unix:///path, tcp://host:port, http://… or https://….
  DockerEngine(const std::string& host, const std::vector<DockerFilter>& filters);

  // GET of a path below the version, which the first call asks the daemon for. Errors as the
  // daemon words them: `Error response from daemon: …`.
  Async<Result<json::array>> List(const ApiClient& api, std::string path, bool filtered);

  // Labels of all networks by their ids: `<prefix>network_name` and the like.
  Async<Result<std::map<std::string, TextMap>>> NetworkLabels(const ApiClient& api,
                                                              std::string prefix);

 private:
  Async<Result<FetchResponse>> Send(const ApiClient& api, std::string method, std::string path);
  Async<Status> Negotiate(const ApiClient& api);

  std::string base_url_;
  std::string unix_socket_;
  std::string filters_;  // As the query wants them; empty: none.
  std::string version_;  // "1.47"; empty: not known yet.
};

}  // namespace narthex
