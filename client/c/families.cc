// The C interface: families of metrics that differ in their label values.
#include "narthex/client/family.h"

#include <variant>

#include "convert.h"

using namespace narthex::client;     // NOLINT: the functions below have C's names.
using namespace narthex::client::c;  // NOLINT

struct narthex_family {
  std::variant<Family<Counter>, Family<Gauge>, Family<Histogram>, Family<Summary>, Family<Info>,
               Family<StateSet>>
      family;
};

namespace {

std::vector<std::string_view> ToViews(const char* const* values, size_t count) {
  std::vector<std::string_view> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(values[i] != nullptr ? values[i] : "");
  return out;
}

template <typename Metric>
narthex_code DeclareFamily(narthex_registry* registry, const narthex_metric_options* options,
                           const char* const* label_names, size_t label_count,
                           const typename Metric::Options& metric_options, narthex_family** out) {
  const Result<MetricOptions> converted = ToOptions(options);
  if (!converted.ok()) return Fail(converted.status());
  Result<Family<Metric>> family = Family<Metric>::Declare(
      Unwrap(registry), *converted, ToNames(label_names, label_count), metric_options);
  if (!family.ok()) return Fail(family.status());
  *out = new narthex_family{*std::move(family)};
  return NARTHEX_OK;
}

// The metric of a family whose type the caller knows.
template <typename Metric>
Result<Metric> Child(const narthex_family* family, const char* const* values, size_t count) {
  const Family<Metric>* typed =
      family != nullptr ? std::get_if<Family<Metric>>(&family->family) : nullptr;
  if (typed == nullptr) return Status(StatusCode::kInvalid, "the family has another type");
  return typed->TryWithLabels(ToViews(values, count));
}

template <typename Metric, typename Handle>
narthex_code GiveChild(const narthex_family* family, const char* const* values, size_t count,
                       Handle** out) {
  return Guard([&] { return Give(Child<Metric>(family, values, count), out); });
}

}  // namespace

narthex_code narthex_counter_family_new(narthex_registry* registry,
                                        const narthex_metric_options* options,
                                        const char* const* label_names, size_t label_count,
                                        narthex_family** out) {
  return Guard(
      [&] { return DeclareFamily<Counter>(registry, options, label_names, label_count, {}, out); });
}

narthex_code narthex_gauge_family_new(narthex_registry* registry,
                                      const narthex_metric_options* options,
                                      const char* const* label_names, size_t label_count,
                                      narthex_family** out) {
  return Guard(
      [&] { return DeclareFamily<Gauge>(registry, options, label_names, label_count, {}, out); });
}

narthex_code narthex_histogram_family_new(narthex_registry* registry,
                                          const narthex_metric_options* options,
                                          const char* const* label_names, size_t label_count,
                                          const narthex_histogram_options* histogram,
                                          narthex_family** out) {
  return Guard([&] {
    return DeclareFamily<Histogram>(registry, options, label_names, label_count,
                                    ToOptions(histogram), out);
  });
}

narthex_code narthex_summary_family_new(narthex_registry* registry,
                                        const narthex_metric_options* options,
                                        const char* const* label_names, size_t label_count,
                                        const narthex_summary_options* summary,
                                        narthex_family** out) {
  return Guard([&] {
    return DeclareFamily<Summary>(registry, options, label_names, label_count, ToOptions(summary),
                                  out);
  });
}

narthex_code narthex_info_family_new(narthex_registry* registry,
                                     const narthex_metric_options* options,
                                     const char* const* label_names, size_t label_count,
                                     narthex_family** out) {
  return Guard(
      [&] { return DeclareFamily<Info>(registry, options, label_names, label_count, {}, out); });
}

narthex_code narthex_state_set_family_new(narthex_registry* registry,
                                          const narthex_metric_options* options,
                                          const char* const* label_names, size_t label_count,
                                          const char* const* states, size_t state_count,
                                          narthex_family** out) {
  return Guard([&] {
    return DeclareFamily<StateSet>(registry, options, label_names, label_count,
                                   ToOptions(states, state_count), out);
  });
}

void narthex_family_free(narthex_family* family) {
  delete family;
}

narthex_code narthex_family_counter(const narthex_family* family, const char* const* values,
                                    size_t value_count, narthex_counter** out) {
  return GiveChild<Counter>(family, values, value_count, out);
}

narthex_code narthex_family_gauge(const narthex_family* family, const char* const* values,
                                  size_t value_count, narthex_gauge** out) {
  return GiveChild<Gauge>(family, values, value_count, out);
}

narthex_code narthex_family_histogram(const narthex_family* family, const char* const* values,
                                      size_t value_count, narthex_histogram** out) {
  return GiveChild<Histogram>(family, values, value_count, out);
}

narthex_code narthex_family_summary(const narthex_family* family, const char* const* values,
                                    size_t value_count, narthex_summary** out) {
  return GiveChild<Summary>(family, values, value_count, out);
}

narthex_code narthex_family_info(const narthex_family* family, const char* const* values,
                                 size_t value_count, narthex_info** out) {
  return GiveChild<Info>(family, values, value_count, out);
}

narthex_code narthex_family_state_set(const narthex_family* family, const char* const* values,
                                      size_t value_count, narthex_state_set** out) {
  return GiveChild<StateSet>(family, values, value_count, out);
}

narthex_code narthex_family_add(const narthex_family* family, const char* const* values,
                                size_t value_count, double amount) {
  return Guard([&] {
    if (family != nullptr && std::holds_alternative<Family<Gauge>>(family->family)) {
      const Result<Gauge> gauge = Child<Gauge>(family, values, value_count);
      if (!gauge.ok()) return Fail(gauge.status());
      gauge->Inc(amount);
      return NARTHEX_OK;
    }
    const Result<Counter> counter = Child<Counter>(family, values, value_count);
    if (!counter.ok()) return Fail(counter.status());
    return counter->Inc(amount) ? NARTHEX_OK : Fail(NARTHEX_INVALID, "counters only go up");
  });
}

narthex_code narthex_family_observe(const narthex_family* family, const char* const* values,
                                    size_t value_count, double value) {
  return Guard([&] {
    if (family != nullptr && std::holds_alternative<Family<Summary>>(family->family)) {
      const Result<Summary> summary = Child<Summary>(family, values, value_count);
      if (!summary.ok()) return Fail(summary.status());
      summary->Observe(value);
      return NARTHEX_OK;
    }
    const Result<Histogram> histogram = Child<Histogram>(family, values, value_count);
    if (!histogram.ok()) return Fail(histogram.status());
    histogram->Observe(value);
    return NARTHEX_OK;
  });
}

narthex_code narthex_family_remove(const narthex_family* family, const char* const* values,
                                   size_t value_count) {
  return Guard([&] {
    const bool removed =
        family != nullptr &&
        std::visit([&](const auto& typed) { return typed.Remove(ToViews(values, value_count)); },
                   family->family);
    return removed ? NARTHEX_OK : Fail(NARTHEX_NOT_FOUND, "there is no such series");
  });
}

size_t narthex_family_remove_matching(const narthex_family* family, const narthex_label* labels,
                                      size_t label_count) {
  size_t removed = 0;
  (void)Guard([&] {
    if (family != nullptr) {
      removed = std::visit(
          [&](const auto& typed) { return typed.RemoveMatching(ToLabels(labels, label_count)); },
          family->family);
    }
    return NARTHEX_OK;
  });
  return removed;
}

void narthex_family_clear(const narthex_family* family) {
  if (family == nullptr) return;
  (void)Guard([&] {
    std::visit([](const auto& typed) { typed.Clear(); }, family->family);
    return NARTHEX_OK;
  });
}

size_t narthex_family_size(const narthex_family* family) {
  size_t size = 0;
  (void)Guard([&] {
    if (family != nullptr) {
      size = std::visit([](const auto& typed) { return typed.size(); }, family->family);
    }
    return NARTHEX_OK;
  });
  return size;
}
