// Writing families in the exposition formats, and choosing the format from an Accept header.
//
//   ScrapeResponse response = Scrape(registry, request.accept);   // all in one
//
// Formats and their words are those of client_golang's expfmt and promhttp. Writers keep the order
// of what they are given and do not check names; Registry::Gather() delivers sorted and checked
// families. Threads: all functions are pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "narthex/client/metric_family.h"
#include "narthex/client/names.h"
#include "narthex/client/registry.h"
#include "narthex/client/status.h"

namespace narthex::client {

enum class FormatType : unsigned char {
  kText,               // text/plain; version=0.0.4
  kOpenMetrics001,     // application/openmetrics-text; version=0.0.1
  kOpenMetrics100,     // application/openmetrics-text; version=1.0.0
  kOpenMetrics200,     // Experimental: counters, gauges and untyped metrics only.
  kProtobufDelimited,  // application/vnd.google.protobuf … encoding=delimited
  kProtobufText,       // … encoding=text
  kProtobufCompact,    // … encoding=compact-text
};

struct Format {
  FormatType type = FormatType::kText;
  EscapingScheme escaping = EscapingScheme::kUnderscores;

  // With the escaping parameter: the whole Content-Type.
  std::string ContentType() const;
};

// The formats that a server offers. The first is for peers that take anything (`*/*`), hence text.
const std::vector<FormatType>& DefaultFormats();      // text and protobuf
const std::vector<FormatType>& OpenMetricsFormats();  // the same with OpenMetrics

// The format for an Accept header: the best clause (quality, then how definite) that names an
// offer. Nothing fits: text if offered, else the first. An `escaping` parameter is honoured even
// so.
Format Negotiate(std::string_view accept, const std::vector<FormatType>& offered = DefaultFormats(),
                 EscapingScheme default_escaping = EscapingScheme::kUnderscores);

struct EncodeOptions {
  bool created_lines = false;  // OpenMetrics 1.0: `_created` samples.
  // More series of the family that was encoded last: no comments. Text formats only.
  bool continued = false;
};

// Appends one family to `out`. On an error `out` may have part of the family.
Status Encode(const MetricFamily& family, const Format& format, std::string& out,
              const EncodeOptions& options = {});
// Appends what ends a page: `# EOF` in OpenMetrics, otherwise nothing.
void Finish(const Format& format, std::string& out);

// The pieces that Encode() chooses from; names must be escaped already.
Status WriteText(const MetricFamily& family, std::string& out, const EncodeOptions& options = {});
Status WriteOpenMetrics(const MetricFamily& family, std::string& out,
                        const EncodeOptions& options = {});
Status WriteOpenMetrics2(const MetricFamily& family, std::string& out);
void WriteProtobufDelimited(const MetricFamily& family, std::string& out);
void WriteProtobufText(const MetricFamily& family, std::string& out);
void WriteProtobufCompact(const MetricFamily& family, std::string& out);
// One metric on one line, as messages show it.
void WriteProtobufCompactMetric(const Metric& metric, std::string& out);

// A copy with the names of metrics and labels escaped.
MetricFamily EscapeFamily(const MetricFamily& family, EscapingScheme scheme);

// The shortest text that reads back as `v`, as Go's %g has it: 1, 0.1, 1e+06, +Inf, NaN.
void AppendFloat(double v, std::string& out);
// The same with `.0` on whole numbers, as OpenMetrics has it.
void AppendOpenMetricsFloat(double v, std::string& out);

// Everything a source has, in one format.
struct EncodedPage {
  std::string body;
  size_t family_count = 0;
  // What had to be left out: of gathering, and of the writers.
  std::vector<std::string> gathering_errors;
  std::vector<std::string> encoding_errors;
};
EncodedPage EncodePage(const Gatherable& source, const Format& format,
                       const EncodeOptions& options = {});

struct ScrapeResponse {
  std::string content_type;
  std::string body;
  // What had to be left out: of Gather() and of the writers.
  std::vector<std::string> errors;
};
ScrapeResponse Scrape(const Gatherable& source, std::string_view accept,
                      const std::vector<FormatType>& offered = OpenMetricsFormats(),
                      const EncodeOptions& options = {});

}  // namespace narthex::client
