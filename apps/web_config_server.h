// Starts an HTTP server as --web.config.file says: TLS, users, headers, rate limit. Every program
// that takes the flag serves through this one function.
//
// The file is read anew for each request and each TLS handshake, as upstream does; parsing happens
// only when its text has changed. Checking a password against bcrypt takes long on purpose, so it
// runs on a thread of its own, and results are kept.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/event_loop.h"
#include "net/http_server.h"
#include "net/tls_server.h"
#include "util/status.h"

namespace narthex {
struct TlsServerConfig;
}

namespace narthex::apps {

// Reads what the section names. Errors as upstream's: `missing one of cert or cert_file`,
// `failed to load X509KeyPair: …`.
Result<net::TlsServerOptions> ReadTlsServerOptions(const TlsServerConfig& config);

// All that is wrong with a file, certificates included.
Status CheckWebConfig(const std::string& path);

// Whether the file asks for TLS; false without a file or when it cannot be read.
bool WebConfigEnablesTls(const std::string& path);

// `web_config_file` may be empty. Logs the addresses and whether TLS is on.
Result<std::unique_ptr<net::HttpServer>> StartWebServer(net::EventLoop& loop,
                                                        net::HttpServerOptions options,
                                                        const std::string& web_config_file,
                                                        net::HttpServer::Handler handler);

}  // namespace narthex::apps
