// Counter, gauge and exemplars: what their headers leave to the library.
#include <chrono>

#include "narthex/client/counter.h"
#include "narthex/client/exemplar.h"
#include "narthex/client/gauge.h"

namespace narthex::client {

Timestamp Timestamp::Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return FromUnixNanos(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

MetricValue detail::CounterCore::Read() {
  return CounterValue{cell.Value(), exemplar.Get(), created_};
}

void detail::CounterCore::SampleExemplar(double v) noexcept {
  if (ExemplarPtr taken = TakeExemplar(next_exemplar_ns_, v)) exemplar.Set(std::move(taken));
}

Status Counter::IncWithExemplar(double v, const Labels& labels) const {
  if (!Inc(v)) return {StatusCode::kInvalid, "counter cannot decrease in value"};
  Result<ExemplarPtr> exemplar = MakeExemplar(labels, v, Timestamp::Now());
  if (!exemplar.ok()) return exemplar.status();
  if (core_) core_->exemplar.Set(*std::move(exemplar));
  return {};
}

void Gauge::SetToCurrentTime() const {
  const Timestamp now = Timestamp::Now();
  Set(now.UnixSeconds());
}

}  // namespace narthex::client
