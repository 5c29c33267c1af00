// URLs as Go's net/url takes them apart and puts them together again, since configuration errors
// and the printed configuration carry its texts.
#pragma once

#include <string>
#include <string_view>

#include "util/status.h"

namespace narthex {

struct Url {
  std::string scheme;  // Lower case.
  std::string opaque;  // "mailto:x" and the like.
  bool has_user = false;
  std::string username;  // Decoded.
  bool has_password = false;
  std::string password;
  std::string host;          // "name", "name:port", "[::1]:port".
  bool omit_host = false;    // "scheme:/path", without an authority.
  std::string path;          // Decoded.
  std::string raw_path;      // Set where the written escaping differs from the usual one.
  bool force_query = false;  // A "?" with nothing behind it.
  std::string raw_query;
  std::string fragment;  // Decoded.

  // url.Parse. Errors: `parse "…": missing protocol scheme` and so on.
  static Result<Url> Parse(std::string_view text);
  // url.String.
  std::string ToString() const { return Print(false); }
  // With the password replaced by xxxxx.
  std::string Redacted() const { return Print(true); }
  // Without brackets and port.
  std::string hostname() const;
  std::string port() const;
  bool empty() const;

  friend bool operator==(const Url&, const Url&) = default;

 private:
  std::string Print(bool redact) const;
};

}  // namespace narthex
