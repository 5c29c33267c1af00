// The front door of exposition: escaping, the choice of the writer, and a whole page.
#include <algorithm>

#include "narthex/client/exposition.h"

namespace narthex::client {
namespace {

bool NeedsEscaping(const LabelSet& labels) {
  return !std::all_of(labels.begin(), labels.end(),
                      [](const LabelPair& label) { return IsValidLegacyMetricName(label.name); });
}

bool NeedsEscaping(const MetricFamily& family) {
  return !IsValidLegacyMetricName(family.name) ||
         std::any_of(family.metrics.begin(), family.metrics.end(),
                     [](const Metric& metric) { return NeedsEscaping(metric.labels); });
}

Status Write(const MetricFamily& family, FormatType type, std::string& out,
             const EncodeOptions& options) {
  switch (type) {
    case FormatType::kText: return WriteText(family, out);
    case FormatType::kOpenMetrics001:
    case FormatType::kOpenMetrics100: return WriteOpenMetrics(family, out, options);
    case FormatType::kOpenMetrics200: return WriteOpenMetrics2(family, out);
    case FormatType::kProtobufDelimited: WriteProtobufDelimited(family, out); return {};
    case FormatType::kProtobufText: WriteProtobufText(family, out); return {};
    case FormatType::kProtobufCompact: WriteProtobufCompact(family, out); return {};
  }
  return {StatusCode::kInvalid, "unknown format"};
}

}  // namespace

MetricFamily EscapeFamily(const MetricFamily& family, EscapingScheme scheme) {
  MetricFamily escaped = family;
  if (scheme == EscapingScheme::kAllowUtf8) return escaped;
  // Legacy names stay as they are under every scheme, dots included.
  if (!IsValidLegacyMetricName(family.name)) escaped.name = EscapeName(family.name, scheme);
  for (Metric& metric : escaped.metrics) {
    if (!NeedsEscaping(metric.labels)) continue;
    Labels labels(metric.labels.begin(), metric.labels.end());
    for (LabelPair& label : labels) {
      if (!IsValidLegacyMetricName(label.name)) label.name = EscapeName(label.name, scheme);
    }
    metric.labels = LabelSet(std::move(labels));
  }
  return escaped;
}

Status Encode(const MetricFamily& family, const Format& format, std::string& out,
              const EncodeOptions& options) {
  if (format.escaping == EscapingScheme::kAllowUtf8 || !NeedsEscaping(family)) {
    return Write(family, format.type, out, options);
  }
  return Write(EscapeFamily(family, format.escaping), format.type, out, options);
}

void Finish(const Format& format, std::string& out) {
  switch (format.type) {
    case FormatType::kOpenMetrics001:
    case FormatType::kOpenMetrics100:
    case FormatType::kOpenMetrics200: out += "# EOF\n"; break;
    default: break;
  }
}

ScrapeResponse Scrape(const Gatherable& source, std::string_view accept,
                      const std::vector<FormatType>& offered, const EncodeOptions& options) {
  const Format format = Negotiate(accept, offered);
  GatherResult gathered = source.Gather();
  ScrapeResponse response{format.ContentType(), {}, std::move(gathered.errors)};
  for (const MetricFamily& family : gathered.families) {
    const size_t begin = response.body.size();
    if (Status status = Encode(family, format, response.body, options); !status.ok()) {
      response.body.resize(begin);  // Half a family would make the page unreadable.
      response.errors.push_back(status.message());
    }
  }
  Finish(format, response.body);
  return response;
}

}  // namespace narthex::client
