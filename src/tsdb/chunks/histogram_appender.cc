#include <bit>
#include <type_traits>

#include "tsdb/chunks/chunk.h"
#include "tsdb/chunks/histogram_chunk.h"
#include "util/check.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

constexpr uint32_t kStartChangeIndexMax = 127;

bool SameBounds(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::bit_cast<uint64_t>(a[i]) != std::bit_cast<uint64_t>(b[i])) return false;
  }
  return true;
}

template <typename H>
constexpr bool kIsFloat = std::is_same_v<H, FloatHistogram>;

// Absolute counts of a sample's buckets.
std::vector<int64_t> AbsoluteCounts(const std::vector<int64_t>& buckets) {
  return DeltasToCounts(buckets);
}
const std::vector<double>& AbsoluteCounts(const std::vector<double>& buckets) {
  return buckets;
}
const std::vector<double>& AbsoluteCounts(std::vector<double>&&) = delete;

std::vector<int64_t> StoredCounts(const std::vector<int64_t>& counts) {
  return CountsToDeltas(counts);
}
std::vector<double> StoredCounts(std::vector<double> counts) {
  return counts;
}

template <typename H>
void MoveTo(const std::vector<Span>& positive, const std::vector<Span>& negative, H* h) {
  h->positive_buckets =
      StoredCounts(MoveCounts(h->positive_spans, AbsoluteCounts(h->positive_buckets), positive));
  h->negative_buckets =
      StoredCounts(MoveCounts(h->negative_spans, AbsoluteCounts(h->negative_buckets), negative));
  h->positive_spans = positive;
  h->negative_spans = negative;
}

}  // namespace

template <typename H>
struct HistogramChunkAppender<H>::Verdict {
  bool fits = false;
  // What the header of a following chunk says.
  CounterResetHeader reset = CounterResetHeader::kUnknown;
  LayoutComparison positive;
  LayoutComparison negative;
};

template <typename H>
HistogramChunkAppender<H>::HistogramChunkAppender(ChunkEncoding encoding)
    : encoding_(encoding), writer_(std::string(kHistogramHeaderBytes, '\0')) {
  NARTHEX_CHECK(KindOf(encoding) ==
                (kIsFloat<H> ? ValueKind::kFloatHistogram : ValueKind::kHistogram));
}

template <typename H>
std::vector<typename HistogramChunkAppender<H>::Count> HistogramChunkAppender<H>::Counts(
    bool positive) const {
  if constexpr (kIsFloat<H>) {
    std::vector<double> counts;
    for (const XorWindow& bucket : positive ? float_positive_ : float_negative_) {
      counts.push_back(std::bit_cast<double>(bucket.bits));
    }
    return counts;
  } else {
    return DeltasToCounts(positive ? positive_ : negative_);
  }
}

template <typename H>
bool HistogramChunkAppender<H>::SameShape(const H& h) const {
  return h.schema == layout_.schema && h.zero_threshold == layout_.zero_threshold;
}

template <typename H>
typename HistogramChunkAppender<H>::Verdict HistogramChunkAppender<H>::JudgeCounter(
    const H& h) const {
  // For floats upstream's check tells only "reset" or "no reset", so a cut for another reason says
  // nothing in the header of the new chunk.
  Verdict verdict;
  if (count_ > 0 && header_ == CounterResetHeader::kGauge) {
    verdict.reset = CounterResetHeader::kNotReset;
    return verdict;
  }
  verdict.reset = CounterResetHeader::kReset;
  if (h.counter_reset_hint == CounterResetHint::kReset) return verdict;
  if (IsStaleNan(h.sum)) {
    verdict.fits = true;
    verdict.reset = CounterResetHeader::kNotReset;
    return verdict;
  }
  if (sum_.bits == kStaleNanBits) {
    verdict.reset = CounterResetHeader::kUnknown;
    return verdict;
  }
  const auto count_before = [&](const XorWindow& v) {
    if constexpr (kIsFloat<H>) {
      return std::bit_cast<double>(v.bits);
    } else {
      return v.bits;
    }
  };
  if (h.count < count_before(count_value_)) return verdict;
  if (!SameShape(h)) {
    verdict.reset = CounterResetHeader::kUnknown;
    return verdict;
  }
  if (h.uses_custom_buckets() && !SameBounds(h.custom_values, layout_.custom_values)) {
    return verdict;
  }
  if (h.zero_count < count_before(zero_count_value_)) return verdict;
  verdict.positive = CompareCounterLayouts<Count>(
      layout_.positive_spans, Counts(true), h.positive_spans, AbsoluteCounts(h.positive_buckets));
  if (verdict.positive.is_reset) return verdict;
  verdict.negative = CompareCounterLayouts<Count>(
      layout_.negative_spans, Counts(false), h.negative_spans, AbsoluteCounts(h.negative_buckets));
  if (verdict.negative.is_reset) return verdict;
  verdict.fits = true;
  verdict.reset = CounterResetHeader::kNotReset;
  return verdict;
}

template <typename H>
typename HistogramChunkAppender<H>::Verdict HistogramChunkAppender<H>::JudgeGauge(
    const H& h) const {
  Verdict verdict;
  verdict.reset = CounterResetHeader::kGauge;
  if (count_ > 0 && header_ != CounterResetHeader::kGauge) return verdict;
  if (IsStaleNan(h.sum)) {
    verdict.fits = true;
    return verdict;
  }
  if (sum_.bits == kStaleNanBits || !SameShape(h)) return verdict;
  if (h.uses_custom_buckets() && !SameBounds(h.custom_values, layout_.custom_values)) {
    return verdict;
  }
  verdict.positive = CompareGaugeLayouts(layout_.positive_spans, h.positive_spans);
  verdict.negative = CompareGaugeLayouts(layout_.negative_spans, h.negative_spans);
  verdict.fits = true;
  return verdict;
}

template <typename H>
Result<typename HistogramChunkAppender<H>::Outcome> HistogramChunkAppender<H>::Append(
    const HistogramChunkAppender* previous, int64_t start_ms, int64_t timestamp_ms, const H& h,
    AppendMode mode) {
  constexpr std::string_view kPrefix = kIsFloat<H> ? "float " : "";
  const uint32_t samples_max =
      CarriesStartTimestamps(encoding_) ? kHistogramStSamplesMax : uint32_t{65535};
  if (count_ >= samples_max) {
    return MakeError(ErrorCode::kLimitExceeded, "chunk capacity exceeded");
  }
  if (!IsStaleNan(h.sum) && (CountBuckets(h.positive_spans) != h.positive_buckets.size() ||
                             CountBuckets(h.negative_spans) != h.negative_buckets.size())) {
    return MakeError(
        ErrorCode::kInvalidInput,
        "histogram has {} positive and {} negative buckets, but its spans say {} and {}",
        h.positive_buckets.size(), h.negative_buckets.size(), CountBuckets(h.positive_spans),
        CountBuckets(h.negative_spans));
  }
  const bool is_gauge = h.counter_reset_hint == CounterResetHint::kGauge;
  if (count_ == 0) {
    if (is_gauge) {
      header_ = CounterResetHeader::kGauge;
    } else if (h.counter_reset_hint == CounterResetHint::kReset) {
      header_ = CounterResetHeader::kReset;
    } else if (previous != nullptr) {
      header_ = previous->JudgeCounter(h).reset;
      if (kIsFloat<H> && header_ != CounterResetHeader::kReset) {
        header_ = CounterResetHeader::kNotReset;
      }
    }
    Write(start_ms, timestamp_ms, h);
    return Outcome{};
  }

  const Verdict verdict = is_gauge ? JudgeGauge(h) : JudgeCounter(h);
  if (!verdict.fits) {
    if (mode == AppendMode::kAppendOnly) {
      if (is_gauge) {
        return MakeError(ErrorCode::kInvalidInput, "{}gauge histogram schema change", kPrefix);
      }
      return MakeError(
          ErrorCode::kInvalidInput, "{}histogram {}", kPrefix,
          verdict.reset == CounterResetHeader::kReset ? "counter reset" : "schema change");
    }
    CounterResetHeader header = verdict.reset;
    if (kIsFloat<H> && !is_gauge && header != CounterResetHeader::kReset) {
      header = CounterResetHeader::kUnknown;
    }
    return Outcome{HistogramAppendKind::kNewChunk, Fresh(header, start_ms, timestamp_ms, h)};
  }

  const bool backward = verdict.positive.backward + verdict.negative.backward > 0;
  const bool forward = verdict.positive.forward + verdict.negative.forward > 0;
  if (mode == AppendMode::kAppendOnly && (forward || (is_gauge && backward))) {
    const bool of_sample = is_gauge && backward;
    return MakeError(ErrorCode::kInvalidInput,
                     "{}{}histogram layout change with {} positive and {} negative {} inserts",
                     kPrefix, is_gauge ? "gauge " : "",
                     of_sample ? verdict.positive.backward : verdict.positive.forward,
                     of_sample ? verdict.negative.backward : verdict.negative.forward,
                     of_sample ? "backwards" : "forwards");
  }
  if (!backward && !forward) {
    Write(start_ms, timestamp_ms, h);
    return Outcome{};
  }

  // The spans that chunk and sample will share. They are stored as they come (not in canonical
  // form) wherever one side already covers the other.
  H widened = h;
  if (backward) {
    if (is_gauge) {
      MoveTo(verdict.positive.merged, verdict.negative.merged, &widened);
    } else if (!forward) {
      MoveTo(layout_.positive_spans, layout_.negative_spans, &widened);
    } else {
      MoveTo(verdict.positive.backward > 0 ? verdict.positive.merged : h.positive_spans,
             verdict.negative.backward > 0 ? verdict.negative.merged : h.negative_spans, &widened);
    }
  }
  if (forward) {
    NARTHEX_RETURN_IF_ERROR(Recode(widened.positive_spans, widened.negative_spans));
  }
  Write(start_ms, timestamp_ms, widened);
  Outcome outcome;
  if (forward) outcome.kind = HistogramAppendKind::kRecoded;
  return outcome;
}

template <typename H>
std::unique_ptr<HistogramChunkAppender<H>> HistogramChunkAppender<H>::Fresh(
    CounterResetHeader header, int64_t start_ms, int64_t timestamp_ms, const H& h) const {
  auto fresh = std::make_unique<HistogramChunkAppender>(encoding_);
  fresh->header_ = header;
  fresh->Write(start_ms, timestamp_ms, h);
  return fresh;
}

template <typename H>
Status HistogramChunkAppender<H>::Recode(const std::vector<Span>& positive,
                                         const std::vector<Span>& negative) {
  HistogramChunkAppender recoded(encoding_);
  recoded.header_ = header_;
  HistogramChunkReader reader(encoding_, bytes());
  H h;
  while (reader.Next()) {
    reader.Get(&h, /*raw=*/true);
    if (!reader.is_stale()) MoveTo(positive, negative, &h);
    recoded.Write(reader.start_ms(), reader.timestamp_ms(), h);
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  *this = std::move(recoded);
  return {};
}

template <typename H>
void HistogramChunkAppender<H>::Write(int64_t start_ms, int64_t timestamp_ms, const H& h) {
  const uint64_t previous_t = t_;
  H stale;
  const H* sample = &h;
  if (IsStaleNan(h.sum)) {  // Only the marker is stored.
    stale.sum = h.sum;
    sample = &stale;
  }
  if (count_ == 0) {
    WriteFirst(timestamp_ms, *sample);
  } else {
    WriteNext(timestamp_ms, *sample);
  }
  if (CarriesStartTimestamps(encoding_)) WriteStart(previous_t, timestamp_ms, start_ms);
  ++count_;
  WriteHeader();
}

template <typename H>
void HistogramChunkAppender<H>::WriteFirst(int64_t timestamp_ms, const H& h) {
  layout_ = {h.schema, h.zero_threshold, h.positive_spans, h.negative_spans, h.custom_values};
  PutHistogramLayout(writer_, layout_);
  t_ = static_cast<uint64_t>(timestamp_ms);
  PutVarbitInt(writer_, timestamp_ms);
  sum_.bits = std::bit_cast<uint64_t>(h.sum);
  if constexpr (kIsFloat<H>) {
    count_value_.bits = std::bit_cast<uint64_t>(h.count);
    zero_count_value_.bits = std::bit_cast<uint64_t>(h.zero_count);
    writer_.Put(count_value_.bits, 64);
    writer_.Put(zero_count_value_.bits, 64);
    writer_.Put(sum_.bits, 64);
    const auto put = [&](const std::vector<double>& buckets, std::vector<XorWindow>& states) {
      for (const double bucket : buckets) {
        states.push_back({.bits = std::bit_cast<uint64_t>(bucket)});
        writer_.Put(states.back().bits, 64);
      }
    };
    put(h.positive_buckets, float_positive_);
    put(h.negative_buckets, float_negative_);
  } else {
    count_value_.bits = h.count;
    zero_count_value_.bits = h.zero_count;
    PutVarbitUint(writer_, h.count);
    PutVarbitUint(writer_, h.zero_count);
    writer_.Put(sum_.bits, 64);
    positive_ = h.positive_buckets;
    negative_ = h.negative_buckets;
    positive_delta_.assign(positive_.size(), 0);
    negative_delta_.assign(negative_.size(), 0);
    for (const int64_t bucket : positive_) PutVarbitInt(writer_, bucket);
    for (const int64_t bucket : negative_) PutVarbitInt(writer_, bucket);
  }
}

template <typename H>
void HistogramChunkAppender<H>::WriteNext(int64_t timestamp_ms, const H& h) {
  const uint64_t delta = static_cast<uint64_t>(timestamp_ms) - t_;
  PutVarbitInt(writer_, static_cast<int64_t>(delta - t_delta_));
  t_delta_ = delta;
  t_ = static_cast<uint64_t>(timestamp_ms);
  const bool is_stale = IsStaleNan(h.sum);
  if constexpr (kIsFloat<H>) {
    PutXor(writer_, count_value_, std::bit_cast<uint64_t>(h.count));
    PutXor(writer_, zero_count_value_, std::bit_cast<uint64_t>(h.zero_count));
    PutXor(writer_, sum_, std::bit_cast<uint64_t>(h.sum));
    if (is_stale) return;
    for (size_t i = 0; i < float_positive_.size(); ++i) {
      PutXor(writer_, float_positive_[i], std::bit_cast<uint64_t>(h.positive_buckets[i]));
    }
    for (size_t i = 0; i < float_negative_.size(); ++i) {
      PutXor(writer_, float_negative_[i], std::bit_cast<uint64_t>(h.negative_buckets[i]));
    }
  } else {
    const auto put_count = [&](XorWindow& value, uint64_t& last_delta, uint64_t now) {
      const uint64_t step = now - value.bits;
      PutVarbitInt(writer_, is_stale ? 0 : static_cast<int64_t>(step - last_delta));
      last_delta = step;
      value.bits = now;
    };
    put_count(count_value_, count_delta_, h.count);
    put_count(zero_count_value_, zero_count_delta_, h.zero_count);
    PutXor(writer_, sum_, std::bit_cast<uint64_t>(h.sum));
    if (is_stale) return;
    const auto put_buckets = [&](const std::vector<int64_t>& now, std::vector<int64_t>& values,
                                 std::vector<int64_t>& deltas) {
      for (size_t i = 0; i < values.size(); ++i) {
        const uint64_t step = static_cast<uint64_t>(now[i]) - static_cast<uint64_t>(values[i]);
        PutVarbitInt(writer_, static_cast<int64_t>(step - static_cast<uint64_t>(deltas[i])));
        deltas[i] = static_cast<int64_t>(step);
        values[i] = now[i];
      }
    };
    put_buckets(h.positive_buckets, positive_, positive_delta_);
    put_buckets(h.negative_buckets, negative_, negative_delta_);
  }
}

template <typename H>
void HistogramChunkAppender<H>::WriteStart(uint64_t previous_t, int64_t timestamp_ms,
                                           int64_t start_ms) {
  const uint64_t start = static_cast<uint64_t>(start_ms);
  if (count_ == 0) {
    if (start_ms != 0) {
      start_.header = 0x80;
      writer_.PutVarint(static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) - start));
    }
  } else {
    const int64_t diff = static_cast<int64_t>(previous_t - start);
    if ((start_.header & 0x7f) != 0) {
      PutVarbitInt(writer_, static_cast<int64_t>(static_cast<uint64_t>(diff) -
                                                 static_cast<uint64_t>(start_.diff)));
      start_.diff = diff;
    } else if (start_ms != start_.start_ms || count_ == kStartChangeIndexMax) {
      start_.header = static_cast<uint8_t>(start_.header | count_);
      PutVarbitInt(writer_, diff);
      start_.diff = diff;
    }
  }
  start_.start_ms = start_ms;
}

template <typename H>
void HistogramChunkAppender<H>::WriteHeader() {
  const auto reset = static_cast<uint32_t>(header_);
  if (CarriesStartTimestamps(encoding_)) {
    StoreBigEndian16(writer_.data(), static_cast<uint16_t>(reset << 14 | count_));
    writer_.data()[2] = static_cast<char>(start_.header);
  } else {
    StoreBigEndian16(writer_.data(), static_cast<uint16_t>(count_));
    writer_.data()[2] = static_cast<char>(reset << 6);
  }
}

template class HistogramChunkAppender<Histogram>;
template class HistogramChunkAppender<FloatHistogram>;

}  // namespace narthex::tsdb
