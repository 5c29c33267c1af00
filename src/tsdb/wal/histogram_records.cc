// Bodies of histograms inside WAL records: fields one after the other, spans offset first.
#include <type_traits>

#include "tsdb/chunks/histogram_layout.h"
#include "tsdb/wal/record_frames_internal.h"
#include "tsdb/wal/records.h"

namespace narthex::tsdb {
namespace {

void PutSpans(const std::vector<Span>& spans, ByteWriter& writer) {
  writer.PutUvarint(spans.size());
  for (const Span& span : spans) {
    writer.PutVarint(span.offset);
    writer.PutUvarint(span.length);
  }
}

// Counts are checked against what is left of the record before anything is reserved.
void ReadSpans(ByteReader& reader, std::vector<Span>* spans) {
  spans->clear();
  const uint64_t count = reader.Uvarint();
  if (count > reader.remaining() / 2) {
    reader.Skip(reader.remaining() + 1);
    return;
  }
  spans->reserve(count);
  for (uint64_t i = 0; i < count && !reader.failed(); ++i) {
    const auto offset = static_cast<int32_t>(reader.Varint());
    spans->push_back({offset, static_cast<uint32_t>(reader.Uvarint())});
  }
}

template <typename T, typename ReadOne>
void ReadList(ByteReader& reader, size_t item_bytes_min, std::vector<T>* items, ReadOne read) {
  items->clear();
  const uint64_t count = reader.Uvarint();
  if (count > reader.remaining() / item_bytes_min) {
    reader.Skip(reader.remaining() + 1);
    return;
  }
  items->reserve(count);
  for (uint64_t i = 0; i < count && !reader.failed(); ++i) items->push_back(read());
}

// Spans whose lengths do not add up to the buckets would make later code read out of bounds.
template <typename H>
bool HasConsistentBuckets(const H& h) {
  return CountBuckets(h.positive_spans) == h.positive_buckets.size() &&
         CountBuckets(h.negative_spans) == h.negative_buckets.size();
}

}  // namespace

void AppendWalHistogram(const Histogram& h, ByteWriter& writer) {
  writer.PutByte(static_cast<uint8_t>(h.counter_reset_hint));
  writer.PutVarint(h.schema);
  writer.PutDouble(h.zero_threshold);
  writer.PutUvarint(h.zero_count);
  writer.PutUvarint(h.count);
  writer.PutDouble(h.sum);
  PutSpans(h.positive_spans, writer);
  PutSpans(h.negative_spans, writer);
  writer.PutUvarint(h.positive_buckets.size());
  for (const int64_t bucket : h.positive_buckets) writer.PutVarint(bucket);
  writer.PutUvarint(h.negative_buckets.size());
  for (const int64_t bucket : h.negative_buckets) writer.PutVarint(bucket);
  if (h.uses_custom_buckets()) {
    writer.PutUvarint(h.custom_values.size());
    for (const double bound : h.custom_values) writer.PutDouble(bound);
  }
}

void AppendWalHistogram(const FloatHistogram& h, ByteWriter& writer) {
  writer.PutByte(static_cast<uint8_t>(h.counter_reset_hint));
  writer.PutVarint(h.schema);
  writer.PutDouble(h.zero_threshold);
  writer.PutDouble(h.zero_count);
  writer.PutDouble(h.count);
  writer.PutDouble(h.sum);
  PutSpans(h.positive_spans, writer);
  PutSpans(h.negative_spans, writer);
  writer.PutUvarint(h.positive_buckets.size());
  for (const double bucket : h.positive_buckets) writer.PutDouble(bucket);
  writer.PutUvarint(h.negative_buckets.size());
  for (const double bucket : h.negative_buckets) writer.PutDouble(bucket);
  if (h.uses_custom_buckets()) {
    writer.PutUvarint(h.custom_values.size());
    for (const double bound : h.custom_values) writer.PutDouble(bound);
  }
}

namespace {

template <typename H>
void ReadBody(ByteReader& reader, H* h) {
  constexpr bool is_float = std::is_same_v<H, FloatHistogram>;
  h->counter_reset_hint = static_cast<CounterResetHint>(reader.Byte() & 3);
  h->schema = static_cast<int32_t>(reader.Varint());
  h->zero_threshold = reader.Double();
  if constexpr (is_float) {
    h->zero_count = reader.Double();
    h->count = reader.Double();
  } else {
    h->zero_count = reader.Uvarint();
    h->count = reader.Uvarint();
  }
  h->sum = reader.Double();
  ReadSpans(reader, &h->positive_spans);
  ReadSpans(reader, &h->negative_spans);
  const auto read_bucket = [&] {
    if constexpr (is_float) {
      return reader.Double();
    } else {
      return reader.Varint();
    }
  };
  ReadList(reader, is_float ? sizeof(double) : 1, &h->positive_buckets, read_bucket);
  ReadList(reader, is_float ? sizeof(double) : 1, &h->negative_buckets, read_bucket);
  h->custom_values.clear();
  if (h->uses_custom_buckets()) {
    ReadList(reader, sizeof(double), &h->custom_values, [&] { return reader.Double(); });
  }
}

}  // namespace

void ReadWalHistogram(ByteReader& reader, Histogram* h) {
  ReadBody(reader, h);
}
void ReadWalHistogram(ByteReader& reader, FloatHistogram* h) {
  ReadBody(reader, h);
}

namespace {

void ReduceToMaxSchema(Histogram* h) {
  const auto steps = static_cast<unsigned>(h->schema - kExponentialSchemaMax);
  for (auto& [spans, buckets] : {std::pair{&h->positive_spans, &h->positive_buckets},
                                 std::pair{&h->negative_spans, &h->negative_buckets}}) {
    std::vector<int64_t> counts = DeltasToCounts(*buckets);
    ReduceBuckets(steps, spans, &counts);
    *buckets = CountsToDeltas(counts);
  }
  h->schema = kExponentialSchemaMax;
}

void ReduceToMaxSchema(FloatHistogram* h) {
  const auto steps = static_cast<unsigned>(h->schema - kExponentialSchemaMax);
  ReduceBuckets(steps, &h->positive_spans, &h->positive_buckets);
  ReduceBuckets(steps, &h->negative_spans, &h->negative_buckets);
  h->schema = kExponentialSchemaMax;
}

}  // namespace

namespace {

template <typename H>
constexpr bool kIsFloat = std::is_same_v<H, FloatHistogram>;

template <typename H>
constexpr RecordType kPlainType =
    kIsFloat<H> ? RecordType::kFloatHistogramSamples : RecordType::kHistogramSamples;
template <typename H>
constexpr RecordType kCustomType = kIsFloat<H> ? RecordType::kCustomBucketsFloatHistogramSamples
                                               : RecordType::kCustomBucketsHistogramSamples;
template <typename H>
constexpr RecordType kV2Type =
    kIsFloat<H> ? RecordType::kFloatHistogramSamplesV2 : RecordType::kHistogramSamplesV2;

// Schemas that a reader knows; the exponential ones above 8 are reduced.
bool IsKnownSchema(int32_t schema) {
  return schema == kCustomBucketsSchema || (schema >= -9 && schema <= 52);
}

template <typename H>
Status DecodeHistogramsOf(std::string_view record, std::vector<WalHistogramOf<H>>* out,
                          size_t* skipped) {
  ByteReader reader(record);
  const auto type = static_cast<RecordType>(reader.Byte());
  if (type != kPlainType<H> && type != kCustomType<H> && type != kV2Type<H>) return WrongType();
  if (reader.empty()) return {};
  const size_t before = out->size();
  const bool is_v2 = type == kV2Type<H>;
  uint64_t base_ref = 0;
  uint64_t base_t = 0;
  FrameReaderV2 frame;
  if (!is_v2) {
    base_ref = reader.BigEndian64();
    base_t = reader.BigEndian64();
  }
  while (!reader.empty()) {
    WalHistogramOf<H>& sample = out->emplace_back();
    if (is_v2) {
      frame.Read(reader, &sample);
    } else {
      sample.ref = base_ref + static_cast<uint64_t>(reader.Varint());
      sample.timestamp_ms = static_cast<int64_t>(base_t + static_cast<uint64_t>(reader.Varint()));
    }
    ReadWalHistogram(reader, &sample.histogram);
    if (reader.failed()) {
      out->pop_back();
      break;
    }
    if (!IsKnownSchema(sample.histogram.schema) || !HasConsistentBuckets(sample.histogram)) {
      out->pop_back();
      if (skipped != nullptr) ++*skipped;
    } else if (sample.histogram.schema > kExponentialSchemaMax) {
      ReduceToMaxSchema(&sample.histogram);
    }
  }
  return CheckEnd(reader, out->size() - before, "histograms");
}

// Writes the samples that `custom` selects behind one header; the base is the first of `samples`
// for the plain record even when that one is left out, as upstream does.
template <typename H>
void EncodeHistogramsV1(std::span<const WalHistogramOf<H>> samples, bool custom, std::string* out) {
  const WalHistogramOf<H>* base = nullptr;
  for (const WalHistogramOf<H>& sample : samples) {
    if (sample.histogram.uses_custom_buckets() == custom) {
      base = custom ? &sample : &samples.front();
      break;
    }
  }
  if (base == nullptr) return;
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(custom ? kCustomType<H> : kPlainType<H>));
  writer.PutBigEndian64(base->ref);
  writer.PutBigEndian64(static_cast<uint64_t>(base->timestamp_ms));
  for (const WalHistogramOf<H>& sample : samples) {
    if (sample.histogram.uses_custom_buckets() != custom) continue;
    writer.PutVarint(static_cast<int64_t>(sample.ref - base->ref));
    writer.PutVarint(static_cast<int64_t>(static_cast<uint64_t>(sample.timestamp_ms) -
                                          static_cast<uint64_t>(base->timestamp_ms)));
    AppendWalHistogram(sample.histogram, writer);
  }
}

template <typename H>
void EncodeHistogramsOf(std::span<const WalHistogramOf<H>> samples, SampleFormat format,
                        std::string* out) {
  if (format == SampleFormat::kV1) {
    EncodeHistogramsV1(samples, /*custom=*/false, out);
    return;
  }
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(kV2Type<H>));
  FrameWriterV2 frame;
  for (const WalHistogramOf<H>& sample : samples) {
    frame.Write(sample, writer);
    AppendWalHistogram(sample.histogram, writer);
  }
}

}  // namespace

Status DecodeHistogramSamples(std::string_view record, std::vector<WalHistogram>* out,
                              size_t* skipped) {
  return DecodeHistogramsOf(record, out, skipped);
}
Status DecodeHistogramSamples(std::string_view record, std::vector<WalFloatHistogram>* out,
                              size_t* skipped) {
  return DecodeHistogramsOf(record, out, skipped);
}
void EncodeHistogramSamples(std::span<const WalHistogram> samples, SampleFormat format,
                            std::string* out) {
  EncodeHistogramsOf(samples, format, out);
}
void EncodeHistogramSamples(std::span<const WalFloatHistogram> samples, SampleFormat format,
                            std::string* out) {
  EncodeHistogramsOf(samples, format, out);
}
void EncodeCustomBucketsSamples(std::span<const WalHistogram> samples, std::string* out) {
  EncodeHistogramsV1(samples, /*custom=*/true, out);
}
void EncodeCustomBucketsSamples(std::span<const WalFloatHistogram> samples, std::string* out) {
  EncodeHistogramsV1(samples, /*custom=*/true, out);
}

}  // namespace narthex::tsdb
