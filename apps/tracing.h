// The `tracing` section of the configuration: which exporter records the process's spans.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "tracing/otlp_exporter.h"
#include "util/status.h"

namespace narthex::apps {

class TracingManager {
 public:
  // Uninstalls the exporter, which sends what it has.
  ~TracingManager();

  // Replaces the exporter where the section has changed, or names TLS files, which may have.
  // `failed to install a new tracer provider: …`. One call at a time.
  Status ApplyConfig(const TracingConfig& config);
  const tracing::SpanCounters& counters() const { return *counters_; }

 private:
  std::shared_ptr<tracing::OtlpExporter> exporter_;
  std::string installed_;  // Fingerprint of the section; empty at first.
  std::shared_ptr<tracing::SpanCounters> counters_ = std::make_shared<tracing::SpanCounters>();
};

}  // namespace narthex::apps
