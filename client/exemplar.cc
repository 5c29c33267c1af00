#include "narthex/client/exemplar.h"

#include <time.h>

#include <memory>
#include <mutex>
#include <vector>

#include "narthex/client/names.h"
#include "utf8.h"

namespace narthex::client {

Result<ExemplarPtr> MakeExemplar(const Labels& labels, double value, Timestamp timestamp) {
  size_t runes = 0;
  for (const LabelPair& label : labels) {
    if (!IsValidLabelName(label.name, NameValidation::kUtf8)) {
      return Status(StatusCode::kInvalid,
                    "exemplar label name " + Quote(label.name) + " is invalid");
    }
    if (!IsValidUtf8(label.value)) {
      return Status(StatusCode::kInvalid,
                    "exemplar label value " + Quote(label.value) + " is not valid UTF-8");
    }
    runes += CountRunes(label.name) + CountRunes(label.value);
  }
  if (runes > kExemplarRunesMax) {
    return Status(StatusCode::kInvalid, "exemplar labels have " + std::to_string(runes) +
                                            " runes, exceeding the limit of " +
                                            std::to_string(kExemplarRunesMax));
  }
  return ExemplarPtr(std::make_shared<const Exemplar>(Exemplar{labels, value, timestamp}));
}

void SetExemplarHook(ExemplarHook hook, std::chrono::nanoseconds interval) {
  // Never freed: a thread may be inside the one of before.
  static std::mutex mutex;
  static auto* const sources = new std::vector<std::unique_ptr<const detail::ExemplarSource>>;
  const std::lock_guard lock(mutex);
  const detail::ExemplarSource* source = nullptr;
  if (hook) {
    sources->push_back(std::make_unique<const detail::ExemplarSource>(
        detail::ExemplarSource{std::move(hook), interval.count()}));
    source = sources->back().get();
  }
  detail::exemplar_source.store(source, std::memory_order_release);
}

namespace detail {

ExemplarPtr TakeExemplar(std::atomic<int64_t>& next_due_ns, double value) noexcept {
  const ExemplarSource* const source = exemplar_source.load(std::memory_order_acquire);
  if (source == nullptr) return nullptr;
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  const int64_t now = int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  int64_t due = next_due_ns.load(std::memory_order_relaxed);
  if (now < due) return nullptr;
  try {
    Labels labels;
    if (!source->hook(labels)) return nullptr;
    // Only one of several threads that found it due.
    if (!next_due_ns.compare_exchange_strong(due, now + source->interval_ns,
                                             std::memory_order_relaxed)) {
      return nullptr;
    }
    Result<ExemplarPtr> exemplar = MakeExemplar(labels, value, Timestamp::Now());
    return exemplar.ok() ? *std::move(exemplar) : nullptr;
  } catch (...) {
    return nullptr;  // Counting goes on whatever becomes of the example.
  }
}

}  // namespace detail
}  // namespace narthex::client
