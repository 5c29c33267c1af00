#include "net/aws_signer.h"

#include <algorithm>
#include <ctime>
#include <map>

#include "net/crypto.h"
#include "net/url.h"
#include "util/strings.h"

namespace narthex::net {
namespace {

// RFC 3986 encoding as the signature defines it; `keep_slash` for paths.
std::string AwsEscape(std::string_view text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= '0' && byte <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain || (keep_slash && c == '/')) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

// Every name and value decoded, encoded again in one way, and sorted.
Result<std::string> CanonicalQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view part : Split(query, '&')) {
    if (part.empty()) continue;
    const size_t equal = part.find('=');
    NARTHEX_TRY(const std::string name, UrlDecode(part.substr(0, equal), true));
    std::string value;
    if (equal != std::string_view::npos) {
      NARTHEX_TRY(value, UrlDecode(part.substr(equal + 1), true));
    }
    pairs.emplace_back(AwsEscape(name, false), AwsEscape(value, false));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

// The Host field as clients send it: without the scheme's own port.
std::string HostField(const Url& url) {
  std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  const std::string_view own_port = url.scheme == "https" ? "443" : "80";
  if (!url.port.empty() && url.port != own_port) host += ":" + url.port;
  return host;
}

bool IsUnsigned(std::string_view name) {
  return name == "authorization" || name == "user-agent" || name == "x-amzn-trace-id" ||
         name == "expect" || name == "transfer-encoding";
}

// Trimmed, with runs of spaces as one.
std::string CanonicalValue(std::string_view value) {
  std::string out;
  for (const char c : TrimSpace(value)) {
    if (c != ' ' || !out.ends_with(' ')) out += c;
  }
  return out;
}

}  // namespace

Result<HeaderFields> SignAwsRequest(std::string_view method, std::string_view url,
                                    const HeaderFields& headers, std::string_view body,
                                    const AwsCredentials& credentials, const AwsSigningScope& scope,
                                    int64_t unix_seconds) {
  NARTHEX_TRY(const Url parsed, ParseUrl(url));
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm utc;
  gmtime_r(&time, &utc);
  char buffer[32];
  const std::string moment(buffer, std::strftime(buffer, sizeof buffer, "%Y%m%dT%H%M%SZ", &utc));
  const std::string date = moment.substr(0, 8);

  HeaderFields added = {{"X-Amz-Date", moment}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  std::map<std::string, std::string> fields;  // Lower-case name to value.
  const auto add = [&](std::string_view name, std::string_view value) {
    std::string key = ToLower(name);
    if (IsUnsigned(key)) return;
    auto [place, fresh] = fields.try_emplace(std::move(key), CanonicalValue(value));
    if (!fresh) place->second += "," + CanonicalValue(value);
  };
  for (const auto& [name, value] : headers) add(name, value);
  for (const auto& [name, value] : added) add(name, value);
  fields["host"] = HostField(parsed);
  if (!body.empty()) fields["content-length"] = std::to_string(body.size());

  std::string field_lines;
  std::string signed_names;
  for (const auto& [name, value] : fields) {
    field_lines.append(name).append(":").append(value).append("\n");
    if (!signed_names.empty()) signed_names += ';';
    signed_names += name;
  }
  NARTHEX_TRY(const std::string query, CanonicalQuery(parsed.query));
  const std::string canonical = fmt::format(
      "{}\n{}\n{}\n{}\n{}\n{}", method, parsed.path.empty() ? "/" : AwsEscape(parsed.path, true),
      query, field_lines, signed_names, HexEncode(Sha256(body)));

  const std::string scope_text =
      fmt::format("{}/{}/{}/aws4_request", date, scope.region, scope.service);
  const std::string to_sign =
      fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", moment, scope_text, HexEncode(Sha256(canonical)));
  std::string key = HmacSha256("AWS4" + credentials.secret_key, date);
  key = HmacSha256(key, scope.region);
  key = HmacSha256(key, scope.service);
  key = HmacSha256(key, "aws4_request");
  added.emplace_back(
      "Authorization",
      fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                  credentials.access_key, scope_text, signed_names,
                  HexEncode(HmacSha256(key, to_sign))));
  return added;
}

Result<std::string> CleanAwsUrl(std::string_view url) {
  NARTHEX_TRY(const Url parsed, ParseUrl(url));
  if (parsed.path.empty()) return std::string(url);
  std::vector<std::string> kept;
  for (const std::string_view part : Split(parsed.path, '/')) {
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!part.empty() && part != ".") {
      kept.emplace_back(part);
    }
  }
  std::string path = "/" + Join(kept, "/");
  if (path != "/" && parsed.path.ends_with('/')) path += '/';
  const size_t begin = url.find('/', url.find("://") + 3);
  return fmt::format("{}{}{}", url.substr(0, begin), path, url.substr(begin + parsed.path.size()));
}

}  // namespace narthex::net
