// Counter, gauge and exemplars: what their headers leave to the library.
#include <chrono>

#include "narthex/client/counter.h"
#include "narthex/client/exemplar.h"
#include "narthex/client/gauge.h"
#include "utf8.h"

namespace narthex::client {

Timestamp Timestamp::Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return FromUnixNanos(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

MetricValue detail::CounterCore::Read() {
  return CounterValue{cell.Value(), exemplar.Get(), created_};
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

}  // namespace narthex::client
