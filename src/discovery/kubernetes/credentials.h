// Where the API server is, and who we are there.
#pragma once

#include <string>

#include "config/http_client_config.h"
#include "config/sd_mechanisms.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::kubernetes {

struct Credentials {
  std::string base_url;  // Without a slash at the end.
  HttpClientConfig client;
  std::string own_namespace;  // When the entry asks for it.
};

// From the kubeconfig file, the service account of the pod, or the entry itself.
Result<Credentials> FindCredentials(const KubernetesSdConfig& config, FileSystem& files);

// The current context of a kubeconfig file; relative file names are below `folder`.
Result<Credentials> ReadKubeconfig(std::string_view yaml, const std::string& folder);

}  // namespace narthex::kubernetes
