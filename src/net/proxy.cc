#include "net/proxy.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "util/environment.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::net {
namespace {

// An IPv4 address is kept as the IPv6 address that stands for it.
using Ip = std::array<unsigned char, 16>;
constexpr size_t kV4Offset = 12;

struct ParsedIp {
  Ip bytes{};
  bool v4 = false;
};

std::optional<ParsedIp> ParseIp(std::string_view text) {
  const std::string copy(text);
  ParsedIp ip;
  if (inet_pton(AF_INET, copy.c_str(), ip.bytes.data() + kV4Offset) == 1) {
    ip.bytes[10] = ip.bytes[11] = 0xff;
    ip.v4 = true;
    return ip;
  }
  if (inet_pton(AF_INET6, copy.c_str(), ip.bytes.data()) == 1) return ip;
  return std::nullopt;
}

bool IsLoopback(const ParsedIp& ip) {
  if (ip.v4) return ip.bytes[kV4Offset] == 127;
  Ip loopback{};
  loopback[15] = 1;
  return ip.bytes == loopback;
}

// "10.0.0.0/8"; nullopt: no such notation.
std::optional<bool> MatchesCidr(std::string_view entry, const std::optional<ParsedIp>& ip) {
  const size_t slash = entry.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto net = ParseIp(entry.substr(0, slash));
  const auto bits = ParseUint(entry.substr(slash + 1));
  if (!net || !bits || *bits > (net->v4 ? 32u : 128u)) return std::nullopt;
  if (!ip || ip->v4 != net->v4) return false;
  const size_t significant = *bits + (net->v4 ? kV4Offset * 8 : 0);
  for (size_t bit = 0; bit < significant; ++bit) {
    const int mask = 0x80 >> (bit % 8);
    if (((ip->bytes[bit / 8] ^ net->bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

struct HostAndPort {
  std::string_view host;
  std::string_view port;
};

// "host", "host:port", "[v6]:port", "v6".
HostAndPort SplitEntry(std::string_view entry) {
  HostAndPort split{entry, {}};
  if (entry.starts_with('[')) {
    const size_t close = entry.find(']');
    if (close == std::string_view::npos) return split;
    split.host = entry.substr(1, close - 1);
    if (entry.substr(close + 1).starts_with(':')) split.port = entry.substr(close + 2);
    return split;
  }
  const size_t colon = entry.find(':');
  if (colon == std::string_view::npos || entry.find(':', colon + 1) != std::string_view::npos) {
    return split;
  }
  return {entry.substr(0, colon), entry.substr(colon + 1)};
}

bool MatchesDomain(std::string_view pattern, std::string_view host) {
  if (pattern.starts_with("*.")) pattern.remove_prefix(1);
  if (pattern.starts_with('.')) return host.ends_with(pattern);
  return host == pattern ||
         (host.ends_with(pattern) && host[host.size() - pattern.size() - 1] == '.');
}

std::string FirstSet(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string value = environment(name); !value.empty()) return value;
  }
  return {};
}

// A value without scheme means http.
std::string WithScheme(std::string proxy) {
  if (!proxy.empty() && proxy.find("://") == std::string::npos) proxy = "http://" + proxy;
  return proxy;
}

}  // namespace

bool BypassesProxy(std::string_view no_proxy, const Url& url) {
  const std::string host = ToLower(TrimSpace(url.host));
  const std::string_view port = !url.port.empty()       ? std::string_view(url.port)
                                : url.scheme == "https" ? "443"
                                                        : "80";
  if (host == "localhost") return true;
  const std::optional<ParsedIp> ip = ParseIp(host);
  if (ip && IsLoopback(*ip)) return true;
  const std::string lowered = ToLower(no_proxy);
  for (std::string_view entry : Split(lowered, ',')) {
    entry = TrimSpace(entry);
    if (entry.empty()) continue;
    if (entry == "*") return true;
    if (const std::optional<bool> in_net = MatchesCidr(entry, ip)) {
      if (*in_net) return true;
      continue;
    }
    const HostAndPort wanted = SplitEntry(entry);
    if (wanted.host.empty() || (!wanted.port.empty() && wanted.port != port)) continue;
    if (const auto wanted_ip = ParseIp(wanted.host)) {
      if (ip && ip->bytes == wanted_ip->bytes) return true;
    } else if (!ip && MatchesDomain(wanted.host, host)) {
      return true;
    }
  }
  return false;
}

Result<std::string> ProxyFor(const ProxySettings& settings, const Url& url,
                             const Environment& environment) {
  if (settings.from_environment) {
    const auto get = [&environment](const char* name) {
      return environment ? environment(name) : EnvironmentVariable(name);
    };
    const bool tls = url.scheme == "https";
    std::string proxy = WithScheme(tls ? FirstSet(get, {"https_proxy", "HTTPS_PROXY"})
                                       : FirstSet(get, {"http_proxy", "HTTP_PROXY"}));
    if (proxy.empty()) return proxy;
    if (!tls && !get("REQUEST_METHOD").empty()) {
      return Status(ErrorCode::kInvalidInput,
                    "refusing to use HTTP_PROXY value in CGI environment; see "
                    "golang.org/s/cgihttpproxy");
    }
    if (BypassesProxy(FirstSet(get, {"no_proxy", "NO_PROXY"}), url)) return std::string();
    return proxy;
  }
  if (settings.url.empty()) return std::string();
  // Without no_proxy a configured proxy takes everything, loopback addresses too.
  if (!settings.no_proxy.empty() && BypassesProxy(settings.no_proxy, url)) return std::string();
  return settings.url;
}

}  // namespace narthex::net
