// `push metrics`: a page of metrics as one remote-write request.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <protozero/pbf_writer.hpp>
#include <thread>
#include <utility>
#include <variant>

#include "apps/tool.h"
#include "config/url.h"
#include "narthex/client/metric_family.h"
#include "narthex/client/text_reader.h"
#include "util/compress.h"
#include "util/file.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

using LabelMap = std::map<std::string, std::string>;

constexpr std::string_view kVersion1 = "prometheus.WriteRequest";
constexpr std::string_view kVersion2 = "io.prometheus.write.v2.Request";
constexpr int kAttemptsMax = 10;
constexpr int64_t kBackoffMaxSeconds = 10;

struct PushOptions {
  Url url;
  std::vector<std::string> files;
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<std::pair<std::string, std::string>> headers;
  int64_t timeout_nanos = 30 * kNanosPerSecond;
  std::string message{kVersion1};
  std::string path = "/api/v1/write";
};

// In the numbering of prometheus.MetricMetadata.
uint32_t MetadataType(client::MetricType type) {
  switch (type) {
    case client::MetricType::kCounter: return 1;
    case client::MetricType::kGauge: return 2;
    case client::MetricType::kHistogram: return 3;
    case client::MetricType::kSummary: return 5;
    default: return 0;
  }
}

// prometheus.WriteRequest, in protobuf.
class RequestWriter {
 public:
  explicit RequestWriter(int64_t now_ms) : now_ms_(now_ms), request_(bytes_) {}

  void AddFamily(const client::MetricFamily& family, const LabelMap& extra);
  const std::string& bytes() const { return bytes_; }

 private:
  void AddMetric(const std::string& name, const client::Metric& metric, LabelMap labels);
  void AddSeries(const LabelMap& labels, int64_t time_ms, double value);

  int64_t now_ms_;
  std::string bytes_;
  protozero::pbf_writer request_;
};

void RequestWriter::AddSeries(const LabelMap& labels, int64_t time_ms, double value) {
  protozero::pbf_writer series(request_, 1);
  for (const auto& [name, text] : labels) {
    protozero::pbf_writer label(series, 1);
    label.add_string(1, name);
    label.add_string(2, text);
  }
  protozero::pbf_writer sample(series, 2);
  sample.add_double(1, value);
  sample.add_int64(2, time_ms);
}

void RequestWriter::AddMetric(const std::string& name, const client::Metric& metric,
                              LabelMap labels) {
  const int64_t time_ms = metric.timestamp_ms.value_or(0) != 0 ? *metric.timestamp_ms : now_ms_;
  const auto add = [&](const std::string& suffix, double value) {
    labels["__name__"] = name + suffix;
    AddSeries(labels, time_ms, value);
  };
  const auto add_with = [&](const std::string& suffix, const char* label, double bound,
                            double value) {
    LabelMap with = labels;
    with["__name__"] = name + suffix;
    with[label] = FormatFloatG(bound);
    AddSeries(with, time_ms, value);
  };
  if (const auto* counter = std::get_if<client::CounterValue>(&metric.value)) {
    add("", counter->value);
  } else if (const auto* gauge = std::get_if<client::GaugeValue>(&metric.value)) {
    add("", gauge->value);
  } else if (const auto* untyped = std::get_if<client::UntypedValue>(&metric.value)) {
    add("", untyped->value);
  } else if (const auto* summary =
                 std::get_if<std::shared_ptr<const client::SummaryValue>>(&metric.value)) {
    for (const client::Quantile& quantile : (*summary)->quantiles) {
      add_with("", "quantile", quantile.quantile, quantile.value);
    }
    add("_sum", (*summary)->sample_sum);
    add("_count", static_cast<double>((*summary)->sample_count));
  } else if (const auto* histogram =
                 std::get_if<std::shared_ptr<const client::HistogramValue>>(&metric.value)) {
    const auto count = static_cast<double>((*histogram)->sample_count);
    bool infinite = false;
    for (const client::Bucket& bucket : (*histogram)->buckets) {
      infinite = infinite || std::isinf(bucket.upper_bound);
      add_with("_bucket", "le", bucket.upper_bound, static_cast<double>(bucket.cumulative_count));
    }
    if (!infinite) add_with("_bucket", "le", std::numeric_limits<double>::infinity(), count);
    add("_sum", (*histogram)->sample_sum);
    add("_count", count);
  }
}

void RequestWriter::AddFamily(const client::MetricFamily& family, const LabelMap& extra) {
  for (const client::Metric& metric : family.metrics) {
    LabelMap labels = extra;
    for (const client::LabelPair& label : metric.labels) {
      labels[label.name == "job" ? "exported_job" : label.name] = label.value;
    }
    AddMetric(family.name, metric, std::move(labels));
  }
  protozero::pbf_writer metadata(request_, 3);
  metadata.add_enum(1, static_cast<int32_t>(MetadataType(family.type)));
  metadata.add_string(2, family.name);
  metadata.add_string(4, family.help.value_or(""));
}

struct Attempt {
  Status status;
  bool retry = false;
};

Attempt Send(net::HttpClient& client, const net::HttpClientRequest& request) {
  const net::HttpClientResponse response = client.FetchSync(request);
  if (!response.error.ok()) return {response.error, true};
  if (response.status / 100 == 2) return {};
  return {MakeError(ErrorCode::kUnavailable, "server returned HTTP status {}: {}",
                    response.status_text, response.body),
          response.status / 100 == 5};
}

Status Push(const PushOptions& options, const ToolContext& context, std::string_view text) {
  const auto families = client::ReadText(text);
  if (!families.ok()) return Status(ErrorCode::kInvalidInput, families.status().message());
  RequestWriter writer(Clock::System().NowMillis());
  const LabelMap extra(options.labels.begin(), options.labels.end());
  for (const client::MetricFamily& family : *families) writer.AddFamily(family, extra);

  Url url = options.url;
  while (url.path.ends_with('/')) url.path.pop_back();
  url.path += options.path.starts_with('/') ? options.path : "/" + options.path;
  net::HttpClientRequest request;
  request.method = "POST";
  request.url = url.ToString();
  request.headers = {{"Content-Encoding", "snappy"},
                     {"Content-Type", "application/x-protobuf"},
                     {"X-Prometheus-Remote-Write-Version", "0.1.0"}};
  request.headers.insert(request.headers.end(), options.headers.begin(), options.headers.end());
  request.body = SnappyCompress(writer.bytes());
  request.timeout_nanos = options.timeout_nanos;
  request.options = context.http;
  net::HttpClient client;
  // What the network or the server may get over is tried again, after longer and longer waits.
  for (int64_t attempt = 0, wait = 1;; ++attempt, wait = std::min(wait * 2, kBackoffMaxSeconds)) {
    const Attempt sent = Send(client, request);
    if (sent.status.ok() || !sent.retry || attempt + 1 >= kAttemptsMax) return sent.status;
    std::this_thread::sleep_for(std::chrono::seconds(wait));
  }
}

bool PushAndReport(const PushOptions& options, const ToolContext& context, std::string_view text,
                   const std::string& what) {
  if (const Status status = Push(options, context, text); !status.ok()) {
    PrintError("  FAILED: " + status.message() + "\n");
    return false;
  }
  PrintOut("  SUCCESS: " + what + " pushed to remote write.\n");
  return true;
}

int PushMetrics(const PushOptions& options, const ToolContext& context) {
  if (options.message == kVersion2) {
    return ReportError(
        MakeError(ErrorCode::kUnsupported, "  FAILED: {} is not supported yet", kVersion2));
  }
  if (options.message != kVersion1) {
    return ReportError(MakeError(ErrorCode::kInvalidInput,
                                 "  FAILED: invalid protobuf message {}, must be {} or {}",
                                 GoQuote(options.message), kVersion1, kVersion2));
  }
  if (options.files.empty()) {
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    PrintOut("Parsing standard input\n");
    return PushAndReport(options, context, text, "metrics") ? 0 : 1;
  }
  bool good = true;
  for (const std::string& file : options.files) {
    const Result<std::string> text = FileSystem::Posix().ReadAll(file);
    if (!text.ok()) {
      PrintError("  FAILED: " + text.status().message() + "\n");
      good = false;
      continue;
    }
    PrintOut("Parsing metrics file " + file + "\n");
    good = PushAndReport(options, context, *text, "metrics file " + file) && good;
  }
  return good ? 0 : 1;
}

}  // namespace

void AddPushCommands(Command& root, ToolContext& context) {
  const auto options = std::make_shared<PushOptions>();
  Command& push = root.AddCommand("push", "Push to a Prometheus server.");
  DeclareHttpConfigFlag(push, context);
  Command& metrics = push.AddCommand(
      "metrics", "Push metrics to a prometheus remote write (for testing purpose only).");
  metrics.AddArgument({"remote-write-url", "Prometheus remote write url to push metrics.", true,
                       false, [options](std::string_view text) -> Status {
                         Result<Url> url = Url::Parse(text);
                         if (!url.ok()) return url.status().WithPrefix("invalid URL: ");
                         options->url = *std::move(url);
                         return {};
                       }});
  metrics.FileArguments("metric-files", &options->files, Presence::kOptional,
                        "The metric files to push, default is read from standard input.");
  metrics.MapFlag("label", &options->labels, "job=promtool ...",
                  "Label to attach to metrics. Can be specified multiple times.");
  metrics.flags().GoDuration("timeout", &options->timeout_nanos,
                             "The time to wait for pushing metrics.");
  metrics.MapFlag("header", &options->headers, "HEADER ...", "Prometheus remote write header.");
  metrics.flags().String("protobuf_message", &options->message,
                         "Protobuf message to use when writing (prometheus.WriteRequest or "
                         "io.prometheus.write.v2.Request).");
  metrics.flags().String("remote-write.path", &options->path,
                         "Override the default remote write API path.");
  metrics.OnRun([&context, options] {
    if (options->labels.empty()) options->labels = {{"job", "promtool"}};
    return PushMetrics(*options, context);
  });
}

}  // namespace narthex::apps
