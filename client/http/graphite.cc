#include "narthex/client/graphite.h"

#include <algorithm>
#include <limits>

#include "narthex/client/exposition.h"
#include "periodic.h"
#include "socket.h"

namespace narthex::client {
namespace {

// As the bridge of client_golang: a space separates nodes, what Graphite does not take becomes `_`,
// and of several `_` in a row one is left.
void AppendSanitized(std::string_view text, std::string& out) {
  bool underscore_before = false;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == ':' || c == '-';
    if (c == ' ') {
      c = '.';
    } else if (!kept) {
      c = '_';
    }
    if (c != '_' || !underscore_before) out += c;
    underscore_before = c == '_';
  }
}

// Tags take nearly everything; these would end them.
void AppendTagText(std::string_view text, std::string& out) {
  for (const char c : text) out += c == ';' || c == '~' || c <= ' ' ? '_' : c;
}

class LineWriter {
 public:
  LineWriter(const GraphiteOptions& options, int64_t now_seconds, std::string& out)
      : options_(options), now_seconds_(now_seconds), out_(out) {}

  void Write(const MetricFamily& family, const Metric& metric) {
    if (const auto* counter = std::get_if<CounterValue>(&metric.value)) {
      Line(family.name, metric, counter->value);
    } else if (const auto* gauge = std::get_if<GaugeValue>(&metric.value)) {
      Line(family.name, metric, gauge->value);
    } else if (const auto* untyped = std::get_if<UntypedValue>(&metric.value)) {
      Line(family.name, metric, untyped->value);
    } else if (const auto* s = std::get_if<std::shared_ptr<const SummaryValue>>(&metric.value)) {
      for (const Quantile& q : (*s)->quantiles) {
        Line(family.name, metric, q.value, "quantile", q.quantile);
      }
      Line(family.name + "_sum", metric, (*s)->sample_sum);
      Line(family.name + "_count", metric, static_cast<double>((*s)->sample_count));
    } else if (const auto* h = std::get_if<std::shared_ptr<const HistogramValue>>(&metric.value)) {
      WriteHistogram(family.name, metric, **h);
    }
  }

 private:
  void WriteHistogram(const std::string& name, const Metric& metric,
                      const HistogramValue& histogram) {
    const double count = histogram.sample_count_float > 0
                             ? histogram.sample_count_float
                             : static_cast<double>(histogram.sample_count);
    bool infinity_seen = false;
    for (const Bucket& bucket : histogram.buckets) {
      const double up_to = bucket.cumulative_count_float > 0
                               ? bucket.cumulative_count_float
                               : static_cast<double>(bucket.cumulative_count);
      Line(name + "_bucket", metric, up_to, "le", bucket.upper_bound);
      infinity_seen |= bucket.upper_bound == std::numeric_limits<double>::infinity();
    }
    Line(name + "_sum", metric, histogram.sample_sum);
    Line(name + "_count", metric, count);
    if (!infinity_seen) {
      Line(name + "_bucket", metric, count, "le", std::numeric_limits<double>::infinity());
    }
  }

  void Line(const std::string& name, const Metric& metric, double value,
            std::string_view extra = {}, double extra_value = 0) {
    if (!options_.prefix.empty()) (out_ += options_.prefix) += '.';
    AppendSanitized(name, out_);
    Labels labels(metric.labels.begin(), metric.labels.end());
    if (!extra.empty()) {
      labels.push_back({std::string(extra), {}});
      AppendFloat(extra_value, labels.back().value);
    }
    std::sort(labels.begin(), labels.end());
    for (const LabelPair& label : labels) {
      if (options_.tags) {
        out_ += ';';
        AppendTagText(label.name, out_);
        out_ += '=';
        AppendTagText(label.value, out_);
      } else {
        out_ += '.';
        AppendSanitized(label.name + " " + label.value, out_);
      }
    }
    out_ += ' ';
    AppendFloat(value, out_);
    out_ += ' ';
    out_ += std::to_string(metric.timestamp_ms ? *metric.timestamp_ms / 1000 : now_seconds_);
    out_ += '\n';
  }

  const GraphiteOptions& options_;
  const int64_t now_seconds_;
  std::string& out_;
};

}  // namespace

std::string GraphiteLines(const std::vector<MetricFamily>& families, const GraphiteOptions& options,
                          int64_t now_seconds) {
  std::string out;
  LineWriter writer(options, now_seconds, out);
  for (const MetricFamily& family : families) {
    for (const Metric& metric : family.metrics) writer.Write(family, metric);
  }
  return out;
}

Status SendToGraphite(const Gatherable& source, const GraphiteOptions& options) {
  const GatherResult gathered = source.Gather();
  if (!gathered.errors.empty() && !options.continue_on_error) {
    return {StatusCode::kInconsistent, gathered.errors.front()};
  }
  Result<std::pair<std::string, std::string>> address = SplitAddress(options.address);
  if (!address.ok()) return address.status();
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.timeout;
  Result<Fd> fd = Connect(address->first, address->second, deadline);
  if (!fd.ok()) return fd.status();
  const std::unique_ptr<Channel> channel = MakePlainChannel(fd->get());
  return WriteAll(*channel, fd->get(),
                  GraphiteLines(gathered.families, options, Timestamp::Now().seconds), deadline);
}

struct GraphiteBridge::Impl {
  Impl(const Gatherable& source, const GraphiteOptions& options,
       std::function<void(const Status& error)> on_error)
      : periodic(options.interval, [&source, options, report = std::move(on_error)] {
          const Status status = SendToGraphite(source, options);
          if (!status.ok() && report) report(status);
        }) {}

  Periodic periodic;
};

// NOLINTNEXTLINE(performance-unnecessary-value-param): the interface takes what it keeps.
GraphiteBridge::GraphiteBridge(const Gatherable& source, GraphiteOptions options,
                               std::function<void(const Status& error)> on_error)
    : impl_(std::make_unique<Impl>(source, options, std::move(on_error))) {}

GraphiteBridge::~GraphiteBridge() = default;

}  // namespace narthex::client
