#include "net/redirect.h"

#include <algorithm>
#include <array>
#include <vector>

#include "util/strings.h"

namespace narthex::net {
namespace {

// The part between "//" and the path, or an empty one.
struct Authority {
  size_t begin = 0;
  size_t end = 0;
};
Authority AuthorityOf(std::string_view url) {
  const size_t slashes = url.find("://");
  if (slashes == std::string_view::npos) return {};
  const size_t begin = slashes + 3;
  return {begin, std::min(url.find_first_of("/?#", begin), url.size())};
}

// Takes "." and ".." out of a path.
std::string RemoveDots(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_with_slash = false;
  for (const std::string_view part : Split(path.substr(path.starts_with('/') ? 1 : 0), '/')) {
    ends_with_slash = part == "." || part == "..";
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (part != ".") {
      kept.push_back(part);
    }
  }
  std::string out;
  for (const std::string_view part : kept) out.append("/").append(part);
  if (ends_with_slash || out.empty()) out += '/';
  return out;
}

bool HasScheme(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
  });
}

}  // namespace

std::optional<Redirect> RedirectFor(int status, std::string_view method) {
  switch (status) {
    case 301:
    case 302:
    case 303: return Redirect{method == "HEAD" ? "HEAD" : "GET", false};
    case 307:
    case 308: return Redirect{std::string(method), true};
    default: return std::nullopt;
  }
}

Result<std::string> ResolveLocation(const std::string& base, const std::string& location) {
  std::string_view reference = location;
  reference = reference.substr(0, reference.find('#'));
  if (HasScheme(reference)) {
    NARTHEX_RETURN_IF_ERROR(ParseUrl(reference).status());
    return std::string(reference);
  }
  const Authority authority = AuthorityOf(base);
  if (reference.starts_with("//")) {
    std::string out = base.substr(0, base.find("//")) + std::string(reference);
    NARTHEX_RETURN_IF_ERROR(ParseUrl(out).status());
    return out;
  }
  const std::string prefix = base.substr(0, authority.end);
  std::string_view rest = std::string_view(base).substr(authority.end);
  rest = rest.substr(0, rest.find('#'));
  const size_t mark = rest.find('?');
  const std::string_view base_path = rest.substr(0, mark);
  if (reference.empty()) return prefix + std::string(rest);
  if (reference.starts_with('?')) return prefix + std::string(base_path) + std::string(reference);
  const size_t query = reference.find('?');
  std::string path(reference.substr(0, query));
  if (!path.starts_with('/')) {
    const size_t slash = base_path.rfind('/');
    path = (slash == std::string_view::npos ? "/" : std::string(base_path.substr(0, slash + 1))) +
           path;
  }
  std::string out = prefix + RemoveDots(path);
  if (query != std::string_view::npos) out += reference.substr(query);
  return out;
}

bool MayGetCredentials(std::string_view host, std::string_view original) {
  if (original.empty()) return false;
  if (host == original) return true;
  // An IPv6 address is nobody's subdomain.
  if (host.find_first_of(":%") != std::string_view::npos) return false;
  return host.size() > original.size() && host.ends_with(original) &&
         host[host.size() - original.size() - 1] == '.';
}

bool IsSensitiveField(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kSensitive = {
      "authorization", "www-authenticate",    "cookie",
      "cookie2",       "proxy-authorization", "proxy-authenticate"};
  return std::find(kSensitive.begin(), kSensitive.end(), ToLower(name)) != kSensitive.end();
}

std::string WithoutUser(const std::string& url) {
  const Authority authority = AuthorityOf(url);
  const size_t at = std::string_view(url).substr(0, authority.end).rfind('@');
  if (at == std::string_view::npos || at < authority.begin) return url;
  return url.substr(0, authority.begin) + url.substr(at + 1);
}

std::string WithoutPassword(const std::string& url) {
  const Authority authority = AuthorityOf(url);
  const size_t at = std::string_view(url).substr(0, authority.end).rfind('@');
  if (at == std::string_view::npos || at < authority.begin) return url;
  const size_t colon = url.find(':', authority.begin);
  if (colon > at) return url;
  return url.substr(0, colon) + ":***" + url.substr(at);
}

}  // namespace narthex::net
