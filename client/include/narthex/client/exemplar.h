// Making exemplars: examples that point from a counter or bucket to one event, usually a trace.
//
// By hand: Counter::IncWithExemplar, Histogram::ObserveWithExemplar. Or by a hook that knows what
// the calling thread works on:
//
//   SetExemplarHook([](Labels& labels) {
//     const Span* span = CurrentSpan();
//     if (span == nullptr || !span->sampled()) return false;
//     labels = {{"trace_id", span->trace_id()}, {"span_id", span->id()}};
//     return true;
//   });
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "narthex/client/metric_family.h"
#include "narthex/client/status.h"

namespace narthex::client {

// Limit of OpenMetrics for names and values of all labels together, in Unicode code points.
inline constexpr int kExemplarRunesMax = 128;

// Fails when a label name is invalid, a value is not UTF-8, or the labels are too long.
Result<ExemplarPtr> MakeExemplar(const Labels& labels, double value, Timestamp timestamp);

// Fills in the labels of the event that the calling thread works on; false: there is none worth
// showing. Called by all threads that count or observe, inside of Inc() and Observe().
using ExemplarHook = std::function<bool(Labels& labels)>;

// From now on counters and histograms ask `hook` for exemplars, each counter and each bucket at
// most once in `interval`. An empty hook ends that. Without a hook an increment pays one comparison
// for this. Exceptions and labels that MakeExemplar refuses give no exemplar. Each call keeps a few
// bytes for ever, because threads may be inside the hook before. Any thread.
void SetExemplarHook(ExemplarHook hook,
                     std::chrono::nanoseconds interval = std::chrono::seconds(1));

namespace detail {

struct ExemplarSource {
  ExemplarHook hook;
  int64_t interval_ns;
};
inline std::atomic<const ExemplarSource*> exemplar_source{nullptr};

// An exemplar from the hook if `next_due_ns` has come, which moves on then; otherwise null.
ExemplarPtr TakeExemplar(std::atomic<int64_t>& next_due_ns, double value) noexcept;

}  // namespace detail
}  // namespace narthex::client
