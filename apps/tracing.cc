#include "apps/tracing.h"

#include "apps/command.h"
#include "apps/http_adapters.h"
#include "util/log.h"

namespace narthex::apps {

TracingManager::~TracingManager() {
  InstallSpanRecorder(nullptr);
}

Status TracingManager::ApplyConfig(const TracingConfig& config) {
  std::string fingerprint = Fingerprint(config);
  if (fingerprint == installed_ && config.tls_config == TlsConfig()) return {};
  if (config.endpoint.empty()) {
    if (exporter_ != nullptr) LOG_INFO("Tracing provider uninstalled.");
    InstallSpanRecorder(nullptr);
    exporter_ = nullptr;
    installed_ = std::move(fingerprint);
    return {};
  }
  tracing::OtlpOptions options;
  options.protocol = config.client_type == "http" ? tracing::OtlpOptions::Protocol::kHttp
                                                  : tracing::OtlpOptions::Protocol::kGrpc;
  options.endpoint = config.endpoint;
  options.insecure = config.insecure;
  options.gzip = config.compression == "gzip";
  options.sampling_fraction = config.sampling_fraction;
  if (config.timeout.nanos > 0) options.timeout_nanos = config.timeout.nanos;
  for (const auto& [name, value] : config.headers) options.headers.emplace_back(name, value);
  options.resource = {"prometheus", std::string(Version())};
  if (!config.insecure) {
    HttpClientConfig client;
    client.tls_config = config.tls_config;
    NARTHEX_TRY(options.client, ToClientOptions(client));
    const Status checked = net::CheckTlsFiles(*options.client);
    if (!checked.ok()) {
      return checked.WithPrefix("failed to install a new tracer provider: ");
    }
  }
  // The one before sends what it has, once nobody adds to it.
  auto exporter = std::make_shared<tracing::OtlpExporter>(std::move(options), counters_);
  InstallSpanRecorder(exporter);
  exporter_ = std::move(exporter);
  installed_ = std::move(fingerprint);
  LOG_INFO("Successfully installed a new tracer provider.");
  return {};
}

}  // namespace narthex::apps
