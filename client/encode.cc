// The front door of exposition: escaping, the choice of the writer, and a whole page.
#include <algorithm>

#include "narthex/client/exposition.h"

namespace narthex::client {
namespace {

bool NeedsEscaping(const LabelSet& labels) {
  if (!labels.text().empty()) return !labels.names_are_legacy();
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
    case FormatType::kText: return WriteText(family, out, options);
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

namespace {

// The others need all series of a family before the first byte, or have no use for pieces.
bool TakesPieces(FormatType type) {
  return type == FormatType::kText || type == FormatType::kOpenMetrics001 ||
         type == FormatType::kOpenMetrics100;
}

}  // namespace

EncodedPage EncodePage(const Gatherable& source, const Format& format,
                       const EncodeOptions& options) {
  EncodedPage page;
  std::string name;         // Of the family of the piece before.
  size_t family_begin = 0;  // In the body.
  bool failed = false;      // Something of this family could not be written.
  const auto take = [&](const MetricFamily& piece) {
    EncodeOptions piece_options = options;
    piece_options.continued = !name.empty() && piece.name == name;
    if (!piece_options.continued) {
      name = piece.name;
      family_begin = page.body.size();
      failed = false;
      ++page.family_count;
    }
    if (failed) return;
    Status status = Encode(piece, format, page.body, piece_options);
    if (status.ok()) return;
    failed = true;
    --page.family_count;
    page.body.resize(family_begin);  // Half a family would make the page unreadable.
    page.encoding_errors.push_back(status.message());
  };
  if (TakesPieces(format.type)) {
    page.gathering_errors = source.GatherInto(take);
  } else {
    GatherResult gathered = source.Gather();
    for (const MetricFamily& family : gathered.families) take(family);
    page.gathering_errors = std::move(gathered.errors);
  }
  Finish(format, page.body);
  return page;
}

ScrapeResponse Scrape(const Gatherable& source, std::string_view accept,
                      const std::vector<FormatType>& offered, const EncodeOptions& options) {
  const Format format = Negotiate(accept, offered);
  EncodedPage page = EncodePage(source, format, options);
  ScrapeResponse response{format.ContentType(), std::move(page.body),
                          std::move(page.gathering_errors)};
  response.errors.insert(response.errors.end(), page.encoding_errors.begin(),
                         page.encoding_errors.end());
  return response;
}

}  // namespace narthex::client
