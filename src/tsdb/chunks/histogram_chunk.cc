#include "tsdb/chunks/histogram_chunk.h"

#include <algorithm>
#include <bit>

#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

bool IsSt(ChunkEncoding encoding) {
  return encoding == ChunkEncoding::kHistogramSt || encoding == ChunkEncoding::kFloatHistogramSt;
}

}  // namespace

CounterResetHeader CounterResetHeaderOf(ChunkEncoding encoding, std::string_view bytes) {
  if (bytes.size() < kHistogramHeaderBytes) return CounterResetHeader::kUnknown;
  const char byte = IsSt(encoding) ? bytes[0] : bytes[2];
  return static_cast<CounterResetHeader>(static_cast<uint8_t>(byte) >> 6);
}

HistogramChunkReader::HistogramChunkReader(ChunkEncoding encoding, std::string_view bytes,
                                           uint32_t sample_count)
    : encoding_(encoding),
      is_float_(KindOf(encoding) == ValueKind::kFloatHistogram),
      reader_(bytes.substr(std::min(bytes.size(), kHistogramHeaderBytes))) {
  if (bytes.size() < kHistogramHeaderBytes) {
    status_ = MakeError(ErrorCode::kCorruption, "{} chunk of {} bytes is too short",
                        ChunkEncodingName(encoding), bytes.size());
    return;
  }
  total_ = sample_count != kCountFromHeader ? sample_count : ChunkSampleCount(encoding, bytes);
  header_ = CounterResetHeaderOf(encoding, bytes);
  if (IsSt(encoding)) start_.header = static_cast<uint8_t>(bytes[2]);
  sum_.leading = 0;
  float_count_.leading = 0;
  float_zero_count_.leading = 0;
}

bool HistogramChunkReader::Fail(Status status) {
  status_ = std::move(status);
  return false;
}

bool HistogramChunkReader::is_stale() const {
  return sum_.bits == kStaleNanBits;
}

bool HistogramChunkReader::Next() {
  if (!status_.ok() || read_ == total_) return false;
  const uint64_t previous_t = t_;
  if (!(read_ == 0 ? ReadFirst() : ReadNext())) {
    if (status_.ok()) {
      status_ = MakeError(ErrorCode::kCorruption, "{} chunk has an impossible value window",
                          ChunkEncodingName(encoding_));
    }
    return false;
  }
  if (IsSt(encoding_)) ReadStart(previous_t);
  if (reader_.overrun()) {
    return Fail(MakeError(ErrorCode::kCorruption, "{} chunk ends before its {} samples",
                          ChunkEncodingName(encoding_), total_));
  }
  ++read_;
  return true;
}

bool HistogramChunkReader::ReadFirst() {
  if (Status status = ReadHistogramLayout(reader_, &layout_); !status.ok()) {
    return Fail(std::move(status));
  }
  const size_t positive = CountBuckets(layout_.positive_spans);
  const size_t negative = CountBuckets(layout_.negative_spans);
  t_ = static_cast<uint64_t>(ReadVarbitInt(reader_));
  if (is_float_) {
    float_count_.bits = reader_.Read(64);
    float_zero_count_.bits = reader_.Read(64);
    sum_.bits = reader_.Read(64);
    for (auto& [buckets, size] :
         {std::pair{&float_positive_, positive}, std::pair{&float_negative_, negative}}) {
      buckets->resize(size);
      for (XorWindow& bucket : *buckets) bucket = {.bits = reader_.Read(64), .leading = 0};
    }
    return true;
  }
  count_ = ReadVarbitUint(reader_);
  zero_count_ = ReadVarbitUint(reader_);
  sum_.bits = reader_.Read(64);
  positive_.resize(positive);
  negative_.resize(negative);
  positive_delta_.resize(positive);
  negative_delta_.resize(negative);
  for (int64_t& bucket : positive_) bucket = ReadVarbitInt(reader_);
  for (int64_t& bucket : negative_) bucket = ReadVarbitInt(reader_);
  return true;
}

namespace {

void ReadBucketDods(BitReader& reader, std::vector<int64_t>& buckets,
                    std::vector<int64_t>& deltas) {
  for (size_t i = 0; i < buckets.size(); ++i) {
    const uint64_t delta =
        static_cast<uint64_t>(deltas[i]) + static_cast<uint64_t>(ReadVarbitInt(reader));
    deltas[i] = static_cast<int64_t>(delta);
    buckets[i] = static_cast<int64_t>(static_cast<uint64_t>(buckets[i]) + delta);
  }
}

}  // namespace

bool HistogramChunkReader::ReadNext() {
  t_delta_ += static_cast<uint64_t>(ReadVarbitInt(reader_));
  t_ += t_delta_;
  if (is_float_) {
    if (!ReadXor(reader_, float_count_) || !ReadXor(reader_, float_zero_count_) ||
        !ReadXor(reader_, sum_)) {
      return false;
    }
    if (is_stale()) return true;
    for (XorWindow& bucket : float_positive_) {
      if (!ReadXor(reader_, bucket)) return false;
    }
    for (XorWindow& bucket : float_negative_) {
      if (!ReadXor(reader_, bucket)) return false;
    }
    return true;
  }
  count_delta_ += static_cast<uint64_t>(ReadVarbitInt(reader_));
  count_ += count_delta_;
  zero_count_delta_ += static_cast<uint64_t>(ReadVarbitInt(reader_));
  zero_count_ += zero_count_delta_;
  if (!ReadXor(reader_, sum_)) return false;
  if (is_stale()) return true;
  ReadBucketDods(reader_, positive_, positive_delta_);
  ReadBucketDods(reader_, negative_, negative_delta_);
  return true;
}

void HistogramChunkReader::ReadStart(uint64_t previous_t) {
  const uint32_t change_on = start_.header & 0x7f;
  if (read_ == 0) {
    if ((start_.header & 0x80) != 0) {
      start_.start_ms = static_cast<int64_t>(t_ - static_cast<uint64_t>(reader_.ReadVarint()));
    }
    return;
  }
  if (change_on == 0 || read_ < change_on) return;
  const uint64_t read = static_cast<uint64_t>(ReadVarbitInt(reader_));
  const uint64_t diff = read_ == change_on ? read : static_cast<uint64_t>(start_.diff) + read;
  start_.diff = static_cast<int64_t>(diff);
  start_.start_ms = static_cast<int64_t>(previous_t - diff);
}

CounterResetHint HistogramChunkReader::Hint() const {
  if (header_ == CounterResetHeader::kGauge) return CounterResetHint::kGauge;
  // Of the first sample nothing is said even where the header knows: the chunk before may be gone.
  return read_ > 1 ? CounterResetHint::kNotReset : CounterResetHint::kUnknown;
}

void HistogramChunkReader::GetStats(FloatHistogram* h) const {
  *h = FloatHistogram{};
  h->from_integer = !is_float_;
  h->sum = std::bit_cast<double>(sum_.bits);
  if (is_stale()) return;
  h->counter_reset_hint = Hint();
  h->schema = std::min(layout_.schema, kExponentialSchemaMax);
  h->zero_threshold = layout_.zero_threshold;
  h->count = is_float_ ? std::bit_cast<double>(float_count_.bits) : static_cast<double>(count_);
  h->zero_count =
      is_float_ ? std::bit_cast<double>(float_zero_count_.bits) : static_cast<double>(zero_count_);
}

namespace {

void ToFloatCounts(const std::vector<int64_t>& deltas, std::vector<double>* counts) {
  counts->resize(deltas.size());
  uint64_t sum = 0;
  for (size_t i = 0; i < deltas.size(); ++i) {
    sum += static_cast<uint64_t>(deltas[i]);
    (*counts)[i] = static_cast<double>(static_cast<int64_t>(sum));
  }
}

void ToFloatCounts(const std::vector<XorWindow>& buckets, std::vector<double>* counts) {
  counts->resize(buckets.size());
  for (size_t i = 0; i < buckets.size(); ++i) {
    (*counts)[i] = std::bit_cast<double>(buckets[i].bits);
  }
}

}  // namespace

void HistogramChunkReader::Get(FloatHistogram* h, bool raw) const {
  GetStats(h);
  if (is_stale()) return;
  h->schema = layout_.schema;
  h->positive_spans = layout_.positive_spans;
  h->negative_spans = layout_.negative_spans;
  h->custom_values = layout_.custom_values;
  if (is_float_) {
    ToFloatCounts(float_positive_, &h->positive_buckets);
    ToFloatCounts(float_negative_, &h->negative_buckets);
  } else {
    ToFloatCounts(positive_, &h->positive_buckets);
    ToFloatCounts(negative_, &h->negative_buckets);
  }
  if (h->schema > kExponentialSchemaMax && !raw) {
    const auto steps = static_cast<unsigned>(h->schema - kExponentialSchemaMax);
    ReduceBuckets(steps, &h->positive_spans, &h->positive_buckets);
    ReduceBuckets(steps, &h->negative_spans, &h->negative_buckets);
    h->schema = kExponentialSchemaMax;
  }
}

void HistogramChunkReader::Get(Histogram* h, bool raw) const {
  *h = Histogram{};
  h->sum = std::bit_cast<double>(sum_.bits);
  if (is_stale()) return;
  h->counter_reset_hint = Hint();
  h->schema = layout_.schema;
  h->zero_threshold = layout_.zero_threshold;
  h->count = count_;
  h->zero_count = zero_count_;
  h->positive_spans = layout_.positive_spans;
  h->negative_spans = layout_.negative_spans;
  h->positive_buckets = positive_;
  h->negative_buckets = negative_;
  h->custom_values = layout_.custom_values;
  if (h->schema > kExponentialSchemaMax && !raw) {
    const auto steps = static_cast<unsigned>(h->schema - kExponentialSchemaMax);
    for (auto& [spans, buckets] : {std::pair{&h->positive_spans, &h->positive_buckets},
                                   std::pair{&h->negative_spans, &h->negative_buckets}}) {
      std::vector<int64_t> counts = DeltasToCounts(*buckets);
      ReduceBuckets(steps, spans, &counts);
      *buckets = CountsToDeltas(counts);
    }
    h->schema = kExponentialSchemaMax;
  }
}

Status DecodeHistograms(ChunkEncoding encoding, std::string_view bytes, TimeRange range,
                        const DecodeOptions& options, storage::SampleColumns* out) {
  HistogramChunkReader reader(encoding, bytes, options.sample_count);
  const size_t base = out->size();
  const bool with_start = IsSt(encoding) && bytes.size() >= kHistogramHeaderBytes && bytes[2] != 0;
  while (reader.Next()) {
    if (reader.timestamp_ms() > range.end_ms) return {};
    if (reader.timestamp_ms() < range.start_ms) continue;
    auto histogram = std::make_shared<FloatHistogram>();
    const bool at_border = reader.position() == 1 || reader.position() == reader.sample_count();
    if (options.histogram_stats && !at_border) {
      reader.GetStats(histogram.get());
    } else {
      reader.Get(histogram.get());
    }
    out->AddHistogram(reader.timestamp_ms(), std::move(histogram));
    if (with_start) out->SetStartTimestamp(reader.start_ms());
  }
  if (!reader.status().ok()) {
    out->timestamps_ms.resize(base);
    out->values.resize(base);
    out->histograms.resize(std::min(out->histograms.size(), base));
    if (!out->start_timestamps_ms.empty()) out->start_timestamps_ms.resize(base);
  }
  return reader.status();
}

}  // namespace narthex::tsdb
