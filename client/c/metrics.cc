// The C interface: errors, registries, metrics without labels, counting.
#include <chrono>
#include <cmath>

#include "convert.h"
#include "narthex/client/exemplar.h"
#include "narthex/client/process_collector.h"
#include "narthex/client/registry.h"

namespace narthex::client::c {
namespace {

// Of the calling thread. A fixed array, so that keeping "out of memory" needs none.
char* ErrorText() noexcept {
  static thread_local char text[1024] = "";
  return text;
}

std::chrono::nanoseconds ToNanos(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

narthex_code CopyBuckets(const std::vector<double>& bounds, size_t count, double* out) {
  bool ascending = bounds.size() == count && count > 0;
  for (size_t i = 1; i < bounds.size(); ++i) ascending = ascending && bounds[i] > bounds[i - 1];
  if (!ascending) return Fail(NARTHEX_INVALID, "these arguments give no ascending bounds");
  std::memcpy(out, bounds.data(), count * sizeof(double));
  return NARTHEX_OK;
}

}  // namespace

narthex_code Fail(narthex_code code, const char* text) noexcept {
  char* kept = ErrorText();
  std::strncpy(kept, text, 1023);
  kept[1023] = '\0';
  return code;
}

narthex_code Fail(const Status& status) noexcept {
  return Fail(static_cast<narthex_code>(status.code()), status.message().c_str());
}
static_assert(static_cast<int>(StatusCode::kIo) == NARTHEX_IO);

Labels ToLabels(const narthex_label* labels, size_t count) {
  Labels out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back({Text(labels[i].name), Text(labels[i].value)});
  return out;
}

Result<MetricOptions> ToOptions(const narthex_metric_options* options) {
  if (options == nullptr) return Status(StatusCode::kInvalid, "a metric needs options");
  const narthex_metric_options o = Sized(options);
  MetricOptions out{Text(o.name), Text(o.help), Text(o.unit)};
  out.const_labels = ToLabels(o.const_labels, o.const_label_count);
  out.series_max = o.series_max;
  return out;
}

HistogramOptions ToOptions(const narthex_histogram_options* options) {
  const narthex_histogram_options o = Sized(options);
  HistogramOptions out;
  out.buckets.assign(o.buckets, o.buckets + o.bucket_count);
  out.native_bucket_factor = o.native_factor;
  out.native_zero_threshold = o.native_zero_threshold;
  out.native_max_buckets = o.native_max_buckets;
  out.native_min_reset = ToNanos(o.native_min_reset_seconds);
  out.native_max_zero_threshold = o.native_max_zero_threshold;
  out.native_max_exemplars = o.native_max_exemplars;
  out.native_exemplar_ttl = ToNanos(o.native_exemplar_ttl_seconds);
  return out;
}

SummaryOptions ToOptions(const narthex_summary_options* options) {
  const narthex_summary_options o = Sized(options);
  SummaryOptions out;
  for (size_t i = 0; i < o.objective_count; ++i) {
    out.objectives.push_back({o.objectives[i].quantile, o.objectives[i].error});
  }
  if (o.max_age_seconds > 0) out.max_age = ToNanos(o.max_age_seconds);
  if (o.age_buckets > 0) out.age_buckets = o.age_buckets;
  return out;
}

StateSetOptions ToOptions(const char* const* states, size_t count) {
  StateSetOptions out;
  out.states = ToNames(states, count);
  return out;
}

std::vector<std::string> ToNames(const char* const* names, size_t count) {
  std::vector<std::string> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(Text(names[i]));
  return out;
}

namespace {

template <typename Metric, typename Handle, typename... More>
narthex_code Declare(narthex_registry* registry, const narthex_metric_options* options,
                     Handle** out, const More&... more) {
  return Guard([&] {
    const Result<MetricOptions> converted = ToOptions(options);
    if (!converted.ok()) return Fail(converted.status());
    return Give(Metric::Declare(Unwrap(registry), *converted, more...), out);
  });
}

}  // namespace
}  // namespace narthex::client::c

using namespace narthex::client;     // NOLINT: the functions below have C's names.
using namespace narthex::client::c;  // NOLINT

const char* narthex_error(void) {
  return ErrorText();
}

narthex_registry* narthex_default_registry(void) {
  return reinterpret_cast<narthex_registry*>(&Registry::Default());
}

narthex_registry* narthex_registry_new(void) {
  Registry* registry = nullptr;
  (void)Guard([&] {
    registry = new Registry();
    return NARTHEX_OK;
  });
  return reinterpret_cast<narthex_registry*>(registry);
}

void narthex_registry_free(narthex_registry* registry) {
  delete Unwrap(registry);
}

static narthex_code Register(narthex_registry* registry, std::shared_ptr<Collector> collector) {
  if (registry == nullptr) return Fail(NARTHEX_INVALID, "a registry is needed");
  const Status status = Unwrap(registry)->Register(std::move(collector));
  return status.ok() ? NARTHEX_OK : Fail(status);
}

narthex_code narthex_register_process(narthex_registry* registry) {
  return Guard([&] { return Register(registry, MakeProcessCollector()); });
}

narthex_code narthex_register_platform(narthex_registry* registry) {
  return Guard([&] { return Register(registry, MakePlatformCollector()); });
}

narthex_code narthex_linear_buckets(double start, double width, size_t count, double* out) {
  return Guard([&] { return CopyBuckets(LinearBuckets(start, width, (int)count), count, out); });
}

narthex_code narthex_exponential_buckets(double start, double factor, size_t count, double* out) {
  return Guard(
      [&] { return CopyBuckets(ExponentialBuckets(start, factor, (int)count), count, out); });
}

narthex_code narthex_exponential_range_buckets(double min, double max, size_t count, double* out) {
  return Guard(
      [&] { return CopyBuckets(ExponentialBucketsRange(min, max, (int)count), count, out); });
}

narthex_code narthex_counter_new(narthex_registry* registry, const narthex_metric_options* options,
                                 narthex_counter** out) {
  return Declare<Counter>(registry, options, out);
}

narthex_code narthex_gauge_new(narthex_registry* registry, const narthex_metric_options* options,
                               narthex_gauge** out) {
  return Declare<Gauge>(registry, options, out);
}

narthex_code narthex_histogram_new(narthex_registry* registry,
                                   const narthex_metric_options* options,
                                   const narthex_histogram_options* histogram,
                                   narthex_histogram** out) {
  return Guard([&] { return Declare<Histogram>(registry, options, out, ToOptions(histogram)); });
}

narthex_code narthex_summary_new(narthex_registry* registry, const narthex_metric_options* options,
                                 const narthex_summary_options* summary, narthex_summary** out) {
  return Guard([&] { return Declare<Summary>(registry, options, out, ToOptions(summary)); });
}

narthex_code narthex_info_new(narthex_registry* registry, const narthex_metric_options* options,
                              narthex_info** out) {
  return Declare<Info>(registry, options, out);
}

narthex_code narthex_state_set_new(narthex_registry* registry,
                                   const narthex_metric_options* options, const char* const* states,
                                   size_t state_count, narthex_state_set** out) {
  return Guard(
      [&] { return Declare<StateSet>(registry, options, out, ToOptions(states, state_count)); });
}

void narthex_counter_free(narthex_counter* counter) {
  delete counter;
}
void narthex_gauge_free(narthex_gauge* gauge) {
  delete gauge;
}
void narthex_histogram_free(narthex_histogram* histogram) {
  delete histogram;
}
void narthex_summary_free(narthex_summary* summary) {
  delete summary;
}
void narthex_info_free(narthex_info* info) {
  delete info;
}
void narthex_state_set_free(narthex_state_set* state_set) {
  delete state_set;
}

void narthex_counter_inc(const narthex_counter* counter) {
  if (counter != nullptr) counter->metric.Inc();
}

narthex_code narthex_counter_add(const narthex_counter* counter, double amount) {
  if (counter == nullptr || counter->metric.Inc(amount)) return NARTHEX_OK;
  return Fail(NARTHEX_INVALID, "counters only go up");
}

narthex_code narthex_counter_add_exemplar(const narthex_counter* counter, double amount,
                                          const narthex_label* labels, size_t label_count) {
  if (counter == nullptr) return NARTHEX_OK;
  return Guard([&] {
    const Status status = counter->metric.IncWithExemplar(amount, ToLabels(labels, label_count));
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

double narthex_counter_value(const narthex_counter* counter) {
  return counter != nullptr ? counter->metric.Value() : 0;
}

void narthex_gauge_set(const narthex_gauge* gauge, double value) {
  if (gauge != nullptr) gauge->metric.Set(value);
}

void narthex_gauge_add(const narthex_gauge* gauge, double amount) {
  if (gauge != nullptr) gauge->metric.Inc(amount);
}

void narthex_gauge_set_to_current_time(const narthex_gauge* gauge) {
  if (gauge != nullptr) gauge->metric.SetToCurrentTime();
}

double narthex_gauge_value(const narthex_gauge* gauge) {
  return gauge != nullptr ? gauge->metric.Value() : 0;
}

void narthex_histogram_observe(const narthex_histogram* histogram, double value) {
  if (histogram != nullptr) histogram->metric.Observe(value);
}

narthex_code narthex_histogram_observe_exemplar(const narthex_histogram* histogram, double value,
                                                const narthex_label* labels, size_t label_count) {
  if (histogram == nullptr) return NARTHEX_OK;
  return Guard([&] {
    const Status status =
        histogram->metric.ObserveWithExemplar(value, ToLabels(labels, label_count));
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

narthex_code narthex_histogram_observe_buckets(const narthex_histogram* histogram,
                                               const uint64_t* counts, size_t bucket_count,
                                               double sum) {
  if (histogram == nullptr) return NARTHEX_OK;
  return Guard([&] {
    const Status status =
        histogram->metric.ObserveBuckets(std::vector<uint64_t>(counts, counts + bucket_count), sum);
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

void narthex_summary_observe(const narthex_summary* summary, double value) {
  // Quantiles may need memory; without it they miss this observation.
  if (summary != nullptr) {
    (void)Guard([&] {
      summary->metric.Observe(value);
      return NARTHEX_OK;
    });
  }
}

double narthex_now(void) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

narthex_code narthex_info_set(const narthex_info* info, const narthex_label* facts,
                              size_t fact_count) {
  if (info == nullptr) return NARTHEX_OK;
  return Guard([&] {
    const Status status = info->metric.Set(ToLabels(facts, fact_count));
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

narthex_code narthex_state_set_set(const narthex_state_set* state_set, const char* state) {
  if (state_set == nullptr) return NARTHEX_OK;
  return Guard([&] {
    const Status status = state_set->metric.Set(state != nullptr ? state : "");
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

narthex_code narthex_state_set_switch(const narthex_state_set* state_set, const char* state,
                                      int on) {
  if (state_set == nullptr) return NARTHEX_OK;
  return Guard([&] {
    const Status status = state_set->metric.Set(state != nullptr ? state : "", on != 0);
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

int narthex_state_set_is_on(const narthex_state_set* state_set, const char* state) {
  return state_set != nullptr && state != nullptr && state_set->metric.IsOn(state) ? 1 : 0;
}

narthex_code narthex_set_exemplar_hook(narthex_exemplar_function function, void* context,
                                       double interval_seconds) {
  return Guard([&] {
    ExemplarHook hook;
    if (function != nullptr) {
      hook = [function, context](Labels& labels) {
        narthex_label found[16];
        const size_t count = function(context, found, 16);
        labels = ToLabels(found, count < 16 ? count : 16);
        return count > 0;
      };
    }
    SetExemplarHook(std::move(hook), ToNanos(interval_seconds));
    return NARTHEX_OK;
  });
}
