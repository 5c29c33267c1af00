// Go's library as far as template functions lean on it: cases, regular expressions, addresses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "util/status.h"

namespace narthex::gotmpl {

// strings.ToUpper and ToLower, beyond ASCII for Latin, Greek, Cyrillic and Armenian letters.
std::string GoToUpper(std::string_view text);
std::string GoToLower(std::string_view text);
// The first letter of each word in upper case, the rest as it is.
std::string GoTitle(std::string_view text);

// regexp.MatchString, not anchored. Errors in Go's words.
Result<bool> GoMatchString(std::string_view pattern, std::string_view text);
// regexp.MustCompile(pattern).ReplaceAllString(text, replacement) with $1 and ${name}; the error is
// the text of Go's panic.
Result<std::string> GoReplaceAll(std::string_view pattern, std::string_view text,
                                 std::string_view replacement);

struct HostPort {
  std::string host;
  std::string port;
};
// net.SplitHostPort; nothing where that fails.
std::optional<HostPort> SplitHostPort(std::string_view address);
// net.JoinHostPort: an IPv6 host gets brackets.
std::string JoinHostPort(std::string_view host, std::string_view port);
// Whether netip.ParseAddr takes the text: IPv4, or IPv6 with or without a zone.
bool IsIpAddress(std::string_view text);

}  // namespace narthex::gotmpl
