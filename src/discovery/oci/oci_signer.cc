#include "discovery/oci/oci_signer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "net/crypto.h"

namespace narthex {

Result<net::HeaderFields> SignOciGet(std::string_view url, const OciKey& key,
                                     int64_t unix_seconds) {
  const size_t host_at = url.find("://") + 3;
  const size_t path_at = url.find('/', host_at);
  const std::string_view host = url.substr(host_at, path_at - host_at);
  const std::string_view target = url.substr(path_at);
  const std::string date = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT",
                                       fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
  const std::string text =
      fmt::format("date: {}\n(request-target): get {}\nhost: {}", date, target, host);
  NARTHEX_TRY(const std::string signature,
              net::RsaSign(key.private_key_pem, "SHA256", text, key.passphrase));
  return net::HeaderFields{
      {"Date", date},
      {"Authorization",
       fmt::format("Signature version=\"1\",headers=\"date (request-target) host\",keyId=\"{}\","
                   "algorithm=\"rsa-sha256\",signature=\"{}\"",
                   key.id, net::Base64Encode(signature))}};
}

}  // namespace narthex
