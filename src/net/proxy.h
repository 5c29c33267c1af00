// Which proxy a request goes through, if any: the one configured or the environment's, but for what
// `no_proxy` names. Rules as Go's httpproxy package has them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "net/url.h"
#include "util/status.h"

namespace narthex::net {

// Whether `no_proxy` ("10.0.0.0/8, .example.org:8080, *") leaves this host to be reached directly.
// So are localhost and loopback addresses always.
bool BypassesProxy(std::string_view no_proxy, const Url& url);

struct ProxySettings {
  std::string url;  // Empty: none but perhaps the environment's.
  std::string no_proxy;
  bool from_environment = false;
};
using Environment = std::function<std::string(const char* name)>;

// The proxy's URL, or "". `environment` is getenv but for tests.
Result<std::string> ProxyFor(const ProxySettings& settings, const Url& url,
                             const Environment& environment = {});

}  // namespace narthex::net
