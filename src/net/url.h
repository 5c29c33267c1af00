// URLs and form values as Go's net/url reads them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/status.h"

namespace narthex::net {

// Percent-decoding. `plus_is_space` for query values. Errors: `invalid URL escape "%zz"`.
Result<std::string> UrlDecode(std::string_view text, bool plus_is_space);
// url.QueryEscape: space becomes +.
std::string QueryEscape(std::string_view text);
// url.PathEscape.
std::string PathEscape(std::string_view text);

// Ordered name/value pairs of a query string or a form body.
class FormValues {
 public:
  // Adds the pairs of "a=1&b=2"; malformed ones are left out and reported.
  Status Parse(std::string_view encoded);
  void Add(std::string name, std::string value) {
    pairs_.emplace_back(std::move(name), std::move(value));
  }
  // The first value, or "".
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const;
  std::vector<std::string> GetAll(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }
  // Sorted by name, as url.Values.Encode prints.
  std::string Encode() const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// The parts of an absolute URL that connecting needs.
struct Url {
  std::string scheme;
  std::string host;  // Without port; IPv6 without brackets.
  std::string port;  // Empty when not written.
  std::string path;  // As written, may be empty.
  std::string query;
  std::string user_info;
};
Result<Url> ParseUrl(std::string_view text);

}  // namespace narthex::net
