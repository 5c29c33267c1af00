// What a redirect makes of a request, by the rules of Go's HTTP client.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/url.h"
#include "util/status.h"

namespace narthex::net {

struct Redirect {
  std::string method;  // Of the next request.
  bool keep_body = false;
};
// Whether this status asks for another request of `method`, and how.
std::optional<Redirect> RedirectFor(int status, std::string_view method);

// A Location, which may be relative, against the URL that gave it (RFC 3986, 5.2).
Result<std::string> ResolveLocation(const std::string& base, const std::string& location);

// Whether credentials meant for `original` may go to `host`: the same, or a subdomain of it.
bool MayGetCredentials(std::string_view host, std::string_view original);

// Header fields that stay behind when a redirect leaves the host.
bool IsSensitiveField(std::string_view name);

// The URL as error texts and Referer show it: the password as ***, and without any user.
std::string WithoutPassword(const std::string& url);
std::string WithoutUser(const std::string& url);

}  // namespace narthex::net
