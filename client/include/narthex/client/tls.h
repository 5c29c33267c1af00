// TLS and hashed passwords for the exposer and the push client. Needs the component client_tls,
// which needs OpenSSL; this header needs the standard library alone.
//
//   ExposerOptions options;
//   options.channels = *MakeTlsServer({"server.crt", "server.key"});
//   options.authenticate = *MakeBcryptAuthenticator({{"scraper", "$2y$10$…"}});
//
// Threads: what these functions make may be used from all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "narthex/client/channel.h"
#include "narthex/client/labels.h"

namespace narthex::client {

struct TlsServerOptions {
  std::string certificate_file = {};  // PEM, with the chain.
  std::string key_file = {};          // PEM.
  // Not empty: clients must show a certificate that one of these has signed.
  std::string client_ca_file = {};
};
// TLS 1.2 and newer. Reads the files again when they have changed, at most once a second; a pair
// that cannot be read leaves the one of before in use.
Result<std::shared_ptr<ChannelFactory>> MakeTlsServer(const TlsServerOptions& options);

struct TlsClientOptions {
  std::string ca_file = {};           // Empty: the system's authorities.
  std::string certificate_file = {};  // The client's own, if it is asked for one.
  std::string key_file = {};
  std::string server_name = {};  // Empty: the host of the URL.
  bool insecure_skip_verify = false;
};
Result<std::shared_ptr<ChannelFactory>> MakeTlsClient(const TlsClientOptions& options);

// Checks passwords against bcrypt hashes (name: user, value: hash), which take long by design:
// outcomes are remembered for 100 pairs. Unknown users cost as much as known ones. Fails on what is
// no bcrypt hash.
Result<std::function<bool(std::string_view user, std::string_view password)>>
MakeBcryptAuthenticator(const Labels& users);

}  // namespace narthex::client
