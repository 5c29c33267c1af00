#include "apps/federate.h"

#include <algorithm>

#include "narthex/client/exposition.h"
#include "promql/parser/parser.h"
#include "util/compress.h"
#include "util/numbers.h"
#include "util/time.h"
#include "web/params.h"
#include "web/response_writer.h"
#include "web/router.h"

namespace narthex::apps {
namespace {

struct FederatedSample {
  Labels labels;
  int64_t timestamp_ms;
  double value;
  std::shared_ptr<const FloatHistogram> histogram;
};

// The newest sample of each selected series that is not stale.
Result<std::vector<FederatedSample>> Select(storage::Queryable& store, TimeRange range,
                                            const std::vector<std::vector<Matcher>>& sets) {
  NARTHEX_TRY(const auto querier, store.OpenQuerier(range));
  storage::SelectHints hints;
  hints.start_ms = range.start_ms;
  hints.end_ms = range.end_ms;
  std::vector<FederatedSample> samples;
  for (const std::vector<Matcher>& matchers : sets) {
    NARTHEX_TRY(const auto set, querier->Select(storage::SeriesOrder::kSorted, hints, matchers));
    storage::SampleColumns columns;
    while (const std::unique_ptr<storage::Series> series = set->Next()) {
      columns.Clear();
      NARTHEX_RETURN_IF_ERROR(series->Read(&columns));
      if (columns.empty() || series->labels().metric_name().empty()) continue;
      const size_t last = columns.size() - 1;
      FederatedSample sample{series->labels(), columns.timestamps_ms[last], columns.values[last],
                             columns.histograms.empty() ? nullptr : columns.histograms[last]};
      const double marker = sample.histogram ? sample.histogram->sum : sample.value;
      if (!IsStaleNan(marker)) samples.push_back(std::move(sample));
    }
    NARTHEX_RETURN_IF_ERROR(set->status());
  }
  // By name, then by labels; a series that several selectors name is shown once.
  std::sort(samples.begin(), samples.end(), [](const auto& a, const auto& b) {
    const auto order = a.labels.metric_name() <=> b.labels.metric_name();
    return order != 0 ? order < 0 : a.labels < b.labels;
  });
  const auto same = [](const auto& a, const auto& b) { return a.labels == b.labels; };
  samples.erase(std::unique(samples.begin(), samples.end(), same), samples.end());
  return samples;
}

client::Labels ExposedLabels(const Labels& labels, const Labels& external_labels) {
  LabelsBuilder builder(labels);
  builder.Delete(kMetricNameLabel);
  for (const LabelView& label : external_labels) {
    if (builder.Get(label.name).empty()) builder.Set(label.name, label.value);
  }
  client::Labels exposed;
  const Labels built = builder.Build();
  for (const LabelView& label : built) {
    exposed.push_back({std::string(label.name), std::string(label.value)});
  }
  // A missing instance is told, so that the scraping server does not put its own there.
  if (!built.Has(kInstanceLabel)) exposed.push_back({std::string(kInstanceLabel), ""});
  std::sort(exposed.begin(), exposed.end());
  return exposed;
}

std::shared_ptr<const client::HistogramValue> ToNative(const FloatHistogram& histogram) {
  auto value = std::make_shared<client::HistogramValue>();
  value->sample_count_float = histogram.count;
  value->sample_sum = histogram.sum;
  client::NativeBuckets native;
  native.schema = histogram.schema;
  native.zero_threshold = histogram.zero_threshold;
  native.zero_count_float = histogram.zero_count;
  const auto spans = [](const std::vector<Span>& from) {
    std::vector<client::BucketSpan> to;
    for (const Span& span : from) to.push_back({span.offset, span.length});
    return to;
  };
  native.positive_spans = spans(histogram.positive_spans);
  native.negative_spans = spans(histogram.negative_spans);
  native.positive_counts = histogram.positive_buckets;
  native.negative_counts = histogram.negative_buckets;
  value->native = std::move(native);
  return value;
}

// Families in order; a new one starts with each change of name or kind.
std::vector<client::MetricFamily> ToFamilies(const std::vector<FederatedSample>& samples,
                                             const Labels& external_labels, bool histograms) {
  std::vector<client::MetricFamily> families;
  for (const FederatedSample& sample : samples) {
    // Only protobuf can carry a native histogram.
    if (sample.histogram && (!histograms || sample.histogram->uses_custom_buckets())) continue;
    const client::MetricType type =
        !sample.histogram ? client::MetricType::kUntyped
        : sample.histogram->counter_reset_hint == CounterResetHint::kGauge
            ? client::MetricType::kGaugeHistogram
            : client::MetricType::kHistogram;
    const std::string_view name = sample.labels.metric_name();
    if (families.empty() || families.back().name != name || families.back().type != type) {
      client::MetricFamily family;
      family.name = name;
      family.type = type;
      families.push_back(std::move(family));
    }
    client::Metric metric;
    metric.labels = ExposedLabels(sample.labels, external_labels);
    metric.timestamp_ms = sample.timestamp_ms;
    if (sample.histogram) {
      metric.value = ToNative(*sample.histogram);
    } else {
      metric.value = client::UntypedValue{sample.value};
    }
    families.back().metrics.push_back(std::move(metric));
  }
  return families;
}

}  // namespace

void Federate(net::HttpExchange& exchange, storage::Queryable& store, int64_t lookback_ms,
              const Labels& external_labels) {
  const net::HttpRequest& request = exchange.request();
  const net::FormValues form = web::ParseQuery(request);
  std::vector<std::vector<Matcher>> sets;
  for (const std::string& selector : form.GetAll("match[]")) {
    Result<std::vector<Matcher>> matchers = promql::ParseMetricSelector(selector);
    if (!matchers.ok()) {
      web::RespondPlain(exchange, 400, matchers.status().message());
      return;
    }
    sets.push_back(*std::move(matchers));
  }
  const int64_t now_ms = Clock::System().NowMillis();
  Result<std::vector<FederatedSample>> samples =
      Select(store, {now_ms - lookback_ms, now_ms}, sets);
  if (!samples.ok()) {
    web::RespondPlain(exchange, 500, samples.status().message());
    return;
  }
  const client::Format format = client::Negotiate(request.headers.Get("Accept"));
  const bool protobuf = format.type != client::FormatType::kText;
  net::HttpResponse response;
  response.headers.Add("Content-Type", format.ContentType());
  for (const client::MetricFamily& family : ToFamilies(*samples, external_labels, protobuf)) {
    if (!client::Encode(family, format, response.body).ok()) continue;
  }
  client::Finish(format, response.body);
  if (web::ChooseContentCoding(request.headers.Get("Accept-Encoding")) ==
      web::ContentCoding::kGzip) {
    response.headers.Add("Content-Encoding", "gzip");
    response.body = GzipCompress(response.body);
  }
  exchange.Respond(std::move(response));
}

}  // namespace narthex::apps
