// The C interface: reading values, collectors, pages written by hand, and showing pages.
#include <cmath>
#include <memory>

#include "convert.h"
#include "narthex/client/callback.h"
#include "narthex/client/custom.h"
#include "narthex/client/exposition.h"
#include "narthex/client/testing.h"
#include "narthex/client/textfile.h"

using namespace narthex::client;     // NOLINT: the functions below have C's names.
using namespace narthex::client::c;  // NOLINT

struct narthex_page {
  std::vector<MetricFamily> families;
};

struct narthex_response {
  ScrapeResponse response;
};

// The values are views of what stands behind them.
struct narthex_snapshot {
  HistogramValue histogram;
  SummaryValue summary;
  std::vector<narthex_bucket> buckets;
  std::vector<narthex_span> positive_spans, negative_spans;
  std::vector<narthex_quantile> quantiles;
  narthex_histogram_value histogram_view;
  narthex_summary_value summary_view;
};

struct narthex_collector {
  Registration registration;
  detail::FunctionMetric function;
};

namespace {

Timestamp FromSeconds(double seconds) {
  const double whole = std::floor(seconds);
  return {static_cast<int64_t>(whole), static_cast<int32_t>((seconds - whole) * 1e9)};
}

std::vector<narthex_span> ToSpans(const std::vector<BucketSpan>& spans) {
  std::vector<narthex_span> out;
  for (const BucketSpan& span : spans) out.push_back({span.offset, span.length});
  return out;
}

std::vector<BucketSpan> FromSpans(const narthex_span* spans, size_t count) {
  std::vector<BucketSpan> out;
  for (size_t i = 0; i < count; ++i) out.push_back({spans[i].offset, spans[i].length});
  return out;
}

ExemplarPtr ToExemplar(const narthex_exemplar* given) {
  if (given == nullptr) return nullptr;
  Exemplar out{ToLabels(given->labels, given->label_count), given->value, {}};
  if (given->has_time != 0) out.timestamp = FromSeconds(given->unix_seconds);
  return std::make_shared<const Exemplar>(std::move(out));
}

SampleOptions ToSampleOptions(const narthex_sample_options* options) {
  const narthex_sample_options o = Sized(options);
  SampleOptions out;
  if (o.has_timestamp != 0) out.timestamp_ms = o.timestamp_ms;
  if (o.has_created != 0) out.created = FromSeconds(o.created_unix_seconds);
  out.exemplar = ToExemplar(o.exemplar);
  return out;
}

HistogramValue ToHistogram(const narthex_histogram_value* given) {
  const narthex_histogram_value v = Sized(given);
  HistogramValue out;
  out.sample_count = v.count;
  out.sample_sum = v.sum;
  for (size_t i = 0; i < v.bucket_count; ++i) {
    out.buckets.push_back({v.buckets[i].upper_bound, v.buckets[i].cumulative_count, 0,
                           ToExemplar(v.buckets[i].exemplar)});
  }
  if (v.has_native != 0) {
    NativeBuckets native;
    native.schema = v.schema;
    native.zero_threshold = v.zero_threshold;
    native.zero_count = v.zero_count;
    native.positive_spans = FromSpans(v.positive_spans, v.positive_span_count);
    native.positive_deltas.assign(v.positive_deltas, v.positive_deltas + v.positive_delta_count);
    native.negative_spans = FromSpans(v.negative_spans, v.negative_span_count);
    native.negative_deltas.assign(v.negative_deltas, v.negative_deltas + v.negative_delta_count);
    out.native = std::move(native);
  }
  return out;
}

MetricFamily* LastFamily(narthex_page* page) {
  return page != nullptr && !page->families.empty() ? &page->families.back() : nullptr;
}

// Calls C's release when the last of those who hold it is gone.
std::shared_ptr<void> HoldContext(void* context, narthex_release_function release) {
  return {context, [release](void* held) {
            if (release != nullptr) release(held);
          }};
}

narthex_code Give(ScrapeResponse response, narthex_response** out) {
  *out = new narthex_response{std::move(response)};
  return NARTHEX_OK;
}

EncodeOptions ToEncodeOptions(unsigned flags) {
  EncodeOptions options;
  options.created_lines = (flags & NARTHEX_CREATED_LINES) != 0;
  return options;
}

// A page as something to scrape.
class PageSource final : public Gatherable {
 public:
  explicit PageSource(const std::vector<MetricFamily>& families) : families_(families) {}
  GatherResult Gather() const override { return {families_, {}}; }

 private:
  const std::vector<MetricFamily>& families_;
};

}  // namespace

narthex_code narthex_histogram_read(const narthex_histogram* histogram, narthex_snapshot** out) {
  if (histogram == nullptr) return Fail(NARTHEX_INVALID, "no histogram");
  return Guard([&] {
    auto snapshot = std::make_unique<narthex_snapshot>();
    snapshot->histogram = histogram->metric.Value();
    const HistogramValue& value = snapshot->histogram;
    for (const Bucket& bucket : value.buckets) {
      snapshot->buckets.push_back({bucket.upper_bound, bucket.cumulative_count, nullptr});
    }
    narthex_histogram_value view = Sized<narthex_histogram_value>(nullptr);
    view.size = sizeof(view);
    view.count = value.sample_count;
    view.sum = value.sample_sum;
    view.buckets = snapshot->buckets.data();
    view.bucket_count = snapshot->buckets.size();
    if (value.native) {
      const NativeBuckets& native = *value.native;
      snapshot->positive_spans = ToSpans(native.positive_spans);
      snapshot->negative_spans = ToSpans(native.negative_spans);
      view.has_native = 1;
      view.schema = native.schema;
      view.zero_threshold = native.zero_threshold;
      view.zero_count = native.zero_count;
      view.positive_spans = snapshot->positive_spans.data();
      view.positive_span_count = snapshot->positive_spans.size();
      view.positive_deltas = native.positive_deltas.data();
      view.positive_delta_count = native.positive_deltas.size();
      view.negative_spans = snapshot->negative_spans.data();
      view.negative_span_count = snapshot->negative_spans.size();
      view.negative_deltas = native.negative_deltas.data();
      view.negative_delta_count = native.negative_deltas.size();
    }
    snapshot->histogram_view = view;
    *out = snapshot.release();
    return NARTHEX_OK;
  });
}

narthex_code narthex_summary_read(const narthex_summary* summary, narthex_snapshot** out) {
  if (summary == nullptr) return Fail(NARTHEX_INVALID, "no summary");
  return Guard([&] {
    auto snapshot = std::make_unique<narthex_snapshot>();
    snapshot->summary = summary->metric.Value();
    for (const Quantile& q : snapshot->summary.quantiles) {
      snapshot->quantiles.push_back({q.quantile, q.value});
    }
    snapshot->summary_view = {sizeof(narthex_summary_value), snapshot->summary.sample_count,
                              snapshot->summary.sample_sum, snapshot->quantiles.data(),
                              snapshot->quantiles.size()};
    *out = snapshot.release();
    return NARTHEX_OK;
  });
}

const narthex_histogram_value* narthex_snapshot_histogram(const narthex_snapshot* s) {
  return &s->histogram_view;
}

const narthex_summary_value* narthex_snapshot_summary(const narthex_snapshot* s) {
  return &s->summary_view;
}

void narthex_snapshot_free(narthex_snapshot* snapshot) {
  delete snapshot;
}

narthex_code narthex_page_family(narthex_page* page, narthex_type type, const char* name,
                                 const char* help, const char* unit) {
  if (page == nullptr || type < NARTHEX_COUNTER || type > NARTHEX_STATE_SET) {
    return Fail(NARTHEX_INVALID, "a family needs a page and one of the types");
  }
  return Guard([&] {
    page->families.push_back(
        MakeFamily(static_cast<MetricType>(type), Text(name), Text(help), Text(unit)));
    return NARTHEX_OK;
  });
}

narthex_code narthex_page_sample(narthex_page* page, const narthex_label* labels,
                                 size_t label_count, double value,
                                 const narthex_sample_options* options) {
  MetricFamily* family = LastFamily(page);
  if (family == nullptr || family->type == MetricType::kSummary ||
      family->type == MetricType::kHistogram || family->type == MetricType::kGaugeHistogram) {
    return Fail(NARTHEX_INVALID, "a sample needs a family whose values are single numbers");
  }
  return Guard([&] {
    AddSample(*family, ToLabels(labels, label_count), value, ToSampleOptions(options));
    return NARTHEX_OK;
  });
}

narthex_code narthex_page_histogram(narthex_page* page, const narthex_label* labels,
                                    size_t label_count, const narthex_histogram_value* value,
                                    const narthex_sample_options* options) {
  MetricFamily* family = LastFamily(page);
  if (value == nullptr || family == nullptr ||
      (family->type != MetricType::kHistogram && family->type != MetricType::kGaugeHistogram)) {
    return Fail(NARTHEX_INVALID, "a histogram needs a family of histograms");
  }
  return Guard([&] {
    const SampleOptions converted = ToSampleOptions(options);
    HistogramValue histogram = ToHistogram(value);
    histogram.created = converted.created;
    AddHistogram(*family, ToLabels(labels, label_count), std::move(histogram),
                 converted.timestamp_ms);
    return NARTHEX_OK;
  });
}

narthex_code narthex_page_summary(narthex_page* page, const narthex_label* labels,
                                  size_t label_count, const narthex_summary_value* value,
                                  const narthex_sample_options* options) {
  MetricFamily* family = LastFamily(page);
  if (value == nullptr || family == nullptr || family->type != MetricType::kSummary) {
    return Fail(NARTHEX_INVALID, "a summary needs a family of summaries");
  }
  return Guard([&] {
    const SampleOptions converted = ToSampleOptions(options);
    const narthex_summary_value v = Sized(value);
    SummaryValue summary;
    summary.sample_count = v.count;
    summary.sample_sum = v.sum;
    for (size_t i = 0; i < v.quantile_count; ++i) {
      summary.quantiles.push_back({v.quantiles[i].quantile, v.quantiles[i].value});
    }
    summary.created = converted.created;
    AddSummary(*family, ToLabels(labels, label_count), std::move(summary), converted.timestamp_ms);
    return NARTHEX_OK;
  });
}

narthex_page* narthex_page_new(void) {
  return new (std::nothrow) narthex_page;
}
void narthex_page_free(narthex_page* page) {
  delete page;
}

narthex_code narthex_collector_new(narthex_registry* registry, narthex_collect_function collect,
                                   void* context, narthex_release_function release,
                                   narthex_collector** out) {
  if (registry == nullptr || collect == nullptr) {
    return Fail(NARTHEX_INVALID, "a collector needs a registry and a function");
  }
  return Guard([&] {
    auto held = HoldContext(context, release);
    auto collector = std::make_unique<narthex_collector>();
    Result<Registration> registration = Unwrap(registry)->RegisterScoped(
        MakeCollector([collect, held = std::move(held)](std::vector<MetricFamily>& families) {
          narthex_page page;
          collect(held.get(), &page);
          for (MetricFamily& family : page.families) families.push_back(std::move(family));
        }));
    if (!registration.ok()) return Fail(registration.status());
    collector->registration = *std::move(registration);
    *out = collector.release();
    return NARTHEX_OK;
  });
}

narthex_code narthex_function_new(narthex_registry* registry, narthex_type type,
                                  const narthex_metric_options* options,
                                  narthex_value_function function, void* context,
                                  narthex_release_function release, narthex_collector** out) {
  if (registry == nullptr || function == nullptr ||
      (type != NARTHEX_COUNTER && type != NARTHEX_GAUGE && type != NARTHEX_UNTYPED)) {
    return Fail(NARTHEX_INVALID,
                "a function needs a registry and is a counter, a gauge or untyped");
  }
  return Guard([&] {
    auto held = HoldContext(context, release);
    const Result<MetricOptions> converted = ToOptions(options);
    if (!converted.ok()) return Fail(converted.status());
    auto collector = std::make_unique<narthex_collector>();
    Result<detail::FunctionMetric> metric = detail::FunctionMetric::Declare(
        *Unwrap(registry), *converted, static_cast<MetricType>(type),
        [function, held = std::move(held)] { return function(held.get()); });
    if (!metric.ok()) return Fail(metric.status());
    collector->function = *std::move(metric);
    *out = collector.release();
    return NARTHEX_OK;
  });
}

void narthex_collector_free(narthex_collector* collector) {
  delete collector;
}

narthex_code narthex_scrape(const narthex_registry* registry, const char* accept, unsigned flags,
                            narthex_response** out) {
  if (registry == nullptr) return Fail(NARTHEX_INVALID, "a registry is needed");
  return Guard([&] {
    return Give(Scrape(*Unwrap(registry), accept != nullptr ? accept : "", OpenMetricsFormats(),
                       ToEncodeOptions(flags)),
                out);
  });
}

narthex_code narthex_page_show(const narthex_page* page, const char* accept, unsigned flags,
                               narthex_response** out) {
  if (page == nullptr) return Fail(NARTHEX_INVALID, "a page is needed");
  return Guard([&] {
    return Give(Scrape(PageSource(page->families), accept != nullptr ? accept : "",
                       OpenMetricsFormats(), ToEncodeOptions(flags)),
                out);
  });
}

const char* narthex_response_content_type(const narthex_response* response) {
  return response->response.content_type.c_str();
}

const char* narthex_response_body(const narthex_response* response, size_t* size) {
  if (size != nullptr) *size = response->response.body.size();
  return response->response.body.c_str();
}

size_t narthex_response_error_count(const narthex_response* response) {
  return response->response.errors.size();
}

const char* narthex_response_error(const narthex_response* response, size_t index) {
  return index < response->response.errors.size() ? response->response.errors[index].c_str() : "";
}

void narthex_response_free(narthex_response* response) {
  delete response;
}

narthex_code narthex_write_textfile(const narthex_registry* registry, const char* path) {
  if (registry == nullptr || path == nullptr) {
    return Fail(NARTHEX_INVALID, "a registry and a path are needed");
  }
  return Guard([&] {
    const Status status = WriteTextfile(*Unwrap(registry), path);
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

narthex_code narthex_sample_value(const narthex_registry* registry, const char* name,
                                  const narthex_label* labels, size_t label_count, double* out) {
  if (registry == nullptr || name == nullptr) {
    return Fail(NARTHEX_INVALID, "a registry and a name are needed");
  }
  return Guard([&] {
    const auto value = SampleValue(*Unwrap(registry), name, ToLabels(labels, label_count));
    if (!value) return Fail(NARTHEX_NOT_FOUND, "there is no such sample");
    *out = *value;
    return NARTHEX_OK;
  });
}
