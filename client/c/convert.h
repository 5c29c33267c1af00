// What the functions of the C interface share: handles, errors, and the way from C's structures to
// those of the library.
//
// Nothing thrown may reach C: whatever can throw runs inside of Guard().
#pragma once

#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "narthex/client/c.h"
#include "narthex/client/collector.h"
#include "narthex/client/counter.h"
#include "narthex/client/gauge.h"
#include "narthex/client/histogram.h"
#include "narthex/client/info.h"
#include "narthex/client/state_set.h"
#include "narthex/client/status.h"
#include "narthex/client/summary.h"

struct narthex_counter {
  narthex::client::Counter metric;
};
struct narthex_gauge {
  narthex::client::Gauge metric;
};
struct narthex_histogram {
  narthex::client::Histogram metric;
};
struct narthex_summary {
  narthex::client::Summary metric;
};
struct narthex_info {
  narthex::client::Info metric;
};
struct narthex_state_set {
  narthex::client::StateSet metric;
};

namespace narthex::client::c {

// Both keep the text for narthex_error().
narthex_code Fail(narthex_code code, const char* text) noexcept;
narthex_code Fail(const Status& status) noexcept;

// A registry of C is a Registry; the name of the type alone is different.
inline Registry* Unwrap(narthex_registry* registry) {
  return reinterpret_cast<Registry*>(registry);
}
inline const Registry* Unwrap(const narthex_registry* registry) {
  return reinterpret_cast<const Registry*>(registry);
}

template <typename F>
narthex_code Guard(F&& function) noexcept {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return Fail(NARTHEX_NO_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return Fail(NARTHEX_INVALID, error.what());
  } catch (...) {
    return Fail(NARTHEX_INVALID, "unknown error");
  }
}

// As much of the caller's structure as it has, over the defaults: a caller that was compiled with
// an older header has a shorter one. Null: the defaults.
template <typename T>
T Sized(const T* given) {
  T out;
  std::memset(static_cast<void*>(&out), 0, sizeof(out));
  if (given != nullptr) {
    std::memcpy(&out, given, given->size < sizeof(out) ? given->size : sizeof(out));
  }
  return out;
}

inline std::string Text(const char* text) {
  return text != nullptr ? text : "";
}
Labels ToLabels(const narthex_label* labels, size_t count);
Result<MetricOptions> ToOptions(const narthex_metric_options* options);
HistogramOptions ToOptions(const narthex_histogram_options* options);
SummaryOptions ToOptions(const narthex_summary_options* options);
StateSetOptions ToOptions(const char* const* states, size_t count);
std::vector<std::string> ToNames(const char* const* names, size_t count);

// Hands a handle of C over.
template <typename Handle, typename Metric>
narthex_code Give(Result<Metric> metric, Handle** out) {
  if (!metric.ok()) return Fail(metric.status());
  *out = new Handle{*std::move(metric)};
  return NARTHEX_OK;
}

}  // namespace narthex::client::c
