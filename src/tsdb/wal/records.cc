#include "tsdb/wal/records.h"

#include <bit>

#include "tsdb/wal/record_frames_internal.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kUnitField = "UNIT";
constexpr std::string_view kHelpField = "HELP";

// Skips an encoded label list and gives its bytes.
std::string_view TakeLabels(ByteReader& reader) {
  const std::string_view before = reader.rest();
  for (uint64_t left = reader.Uvarint(); left > 0 && !reader.failed(); --left) {
    reader.UvarintString();
    reader.UvarintString();
  }
  return reader.failed() ? std::string_view()
                         : before.substr(0, before.size() - reader.remaining());
}

// A uvarint of which at least 10 bytes are readable.
[[gnu::always_inline]] inline uint64_t UncheckedUvarint(const char** p) {
  const auto* b = reinterpret_cast<const uint8_t*>(*p);
  uint64_t v = b[0];
  if (v < 0x80) [[likely]] {
    *p += 1;
    return v;
  }
  v = (v & 0x7f) | static_cast<uint64_t>(b[1]) << 7;
  if (b[1] < 0x80) {
    *p += 2;
    return v;
  }
  v = (v & 0x3fff) | static_cast<uint64_t>(b[2]) << 14;
  if (b[2] < 0x80) {
    *p += 3;
    return v;
  }
  v &= 0x1fffff;
  unsigned shift = 21;
  size_t i = 3;
  for (; i < kVarintBytesMax; ++i, shift += 7) {
    v |= static_cast<uint64_t>(b[i] & 0x7f) << shift;
    if (b[i] < 0x80) {
      *p += i + 1;
      return v;
    }
  }
  *p = nullptr;  // No end within ten bytes.
  return 0;
}

Status DecodeSamplesV1(ByteReader reader, std::vector<WalSample>* out) {
  if (reader.empty()) return {};
  const size_t before = out->size();
  const uint64_t base_ref = reader.BigEndian64();
  const uint64_t base_t = reader.BigEndian64();
  // A sample is at least ten bytes: growing once, by what there can be at most.
  const size_t count_max = reader.remaining() / 10;
  out->resize(before + count_max);
  WalSample* to = out->data() + before;

  // While a longest sample fits into what is left no field needs a check.
  constexpr size_t kSampleBytesMax = 2 * kVarintBytesMax + sizeof(double);
  const char* p = reader.rest().data();
  const char* const end = p + reader.remaining();
  while (static_cast<size_t>(end - p) >= kSampleBytesMax) {
    const char* q = p;
    const uint64_t ref = UncheckedUvarint(&q);
    if (q == nullptr) break;
    const uint64_t t = UncheckedUvarint(&q);
    if (q == nullptr) break;
    to->ref = base_ref + static_cast<uint64_t>(ZigZagDecode(ref));
    to->timestamp_ms = static_cast<int64_t>(base_t + static_cast<uint64_t>(ZigZagDecode(t)));
    to->start_ms = 0;
    to->value = std::bit_cast<double>(LoadBigEndian64(q));
    ++to;
    p = q + sizeof(double);
  }
  ByteReader tail({p, static_cast<size_t>(end - p)});
  while (!tail.empty()) {
    WalSample sample;
    sample.ref = base_ref + static_cast<uint64_t>(tail.Varint());
    sample.timestamp_ms = static_cast<int64_t>(base_t + static_cast<uint64_t>(tail.Varint()));
    sample.value = tail.Double();
    if (tail.failed()) break;
    *to++ = sample;
  }
  const size_t decoded = static_cast<size_t>(to - out->data()) - before;
  out->resize(before + decoded);
  if (reader.failed()) return CheckEnd(reader, decoded, "samples");
  return CheckEnd(tail, decoded, "samples");
}

}  // namespace

RecordType TypeOfRecord(std::string_view record) {
  if (record.empty()) return RecordType::kUnknown;
  const auto type = static_cast<uint8_t>(record[0]);
  return type >= 1 && type <= 14 ? static_cast<RecordType>(type) : RecordType::kUnknown;
}

std::string_view RecordTypeName(RecordType type) {
  switch (type) {
    case RecordType::kSeries: return "series";
    case RecordType::kSamples: return "samples";
    case RecordType::kTombstones: return "tombstones";
    case RecordType::kExemplars: return "exemplars";
    case RecordType::kMmapMarkers: return "mmapmarkers";
    case RecordType::kMetadata: return "metadata";
    case RecordType::kHistogramSamples: return "histogram_samples";
    case RecordType::kFloatHistogramSamples: return "float_histogram_samples";
    case RecordType::kCustomBucketsHistogramSamples: return "custom_buckets_histogram_samples";
    case RecordType::kCustomBucketsFloatHistogramSamples:
      return "custom_buckets_float_histogram_samples";
    case RecordType::kSamplesV2: return "samples_v2";
    case RecordType::kHistogramSamplesV2: return "histogram_samples_v2";
    case RecordType::kFloatHistogramSamplesV2: return "float_histogram_samples_v2";
    case RecordType::kMinValidTime: return "min_valid_time";
    case RecordType::kUnknown: break;
  }
  return "unknown";
}

Labels DecodeWalLabels(std::string_view encoded) {
  std::vector<LabelView> views;
  bool ascending = true;
  ForEachLabel(encoded, [&](std::string_view name, std::string_view value) {
    if (!views.empty() && !(views.back().name < name)) ascending = false;
    views.push_back({name, value});
  });
  if (ascending) return Labels::FromSorted(views);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const LabelView& view : views) pairs.emplace_back(view.name, view.value);
  return Labels::FromPairs(pairs);
}

void AppendWalLabels(const Labels& labels, std::string* out) {
  ByteWriter writer(out);
  writer.PutUvarint(labels.size());
  for (const LabelView& label : labels) {
    writer.PutUvarintString(label.name);
    writer.PutUvarintString(label.value);
  }
}

Status DecodeSeries(std::string_view record, std::vector<WalSeries>* out) {
  ByteReader reader(record);
  if (static_cast<RecordType>(reader.Byte()) != RecordType::kSeries) return WrongType();
  while (!reader.empty()) {
    WalSeries series;
    series.ref = reader.BigEndian64();
    series.labels = TakeLabels(reader);
    if (reader.failed()) break;
    out->push_back(series);
  }
  return CheckEnd(reader);
}

Status DecodeSamples(std::string_view record, std::vector<WalSample>* out) {
  ByteReader reader(record);
  const auto type = static_cast<RecordType>(reader.Byte());
  if (type == RecordType::kSamples) return DecodeSamplesV1(reader, out);
  if (type != RecordType::kSamplesV2) {
    return MakeError(ErrorCode::kCorruption,
                     "invalid record type {}, expected Samples(2) or SamplesV2(11)",
                     static_cast<int>(type));
  }
  const size_t before = out->size();
  FrameReaderV2 frame;
  while (!reader.empty()) {
    WalSample sample;
    frame.Read(reader, &sample);
    sample.value = reader.Double();
    if (reader.failed()) break;
    out->push_back(sample);
  }
  return CheckEnd(reader, out->size() - before, "samples");
}

Status DecodeTombstones(std::string_view record, std::vector<WalTombstone>* out) {
  ByteReader reader(record);
  if (static_cast<RecordType>(reader.Byte()) != RecordType::kTombstones) return WrongType();
  while (!reader.empty()) {
    WalTombstone stone;
    stone.ref = reader.BigEndian64();
    stone.min_ms = reader.Varint();
    stone.max_ms = reader.Varint();
    if (reader.failed()) break;
    out->push_back(stone);
  }
  return CheckEnd(reader);
}

Status DecodeExemplars(std::string_view record, std::vector<WalExemplar>* out) {
  ByteReader reader(record);
  if (static_cast<RecordType>(reader.Byte()) != RecordType::kExemplars) return WrongType();
  if (reader.empty()) return {};
  const size_t before = out->size();
  const uint64_t base_ref = reader.BigEndian64();
  const uint64_t base_t = reader.BigEndian64();
  while (!reader.empty()) {
    WalExemplar exemplar;
    exemplar.ref = base_ref + static_cast<uint64_t>(reader.Varint());
    exemplar.timestamp_ms = static_cast<int64_t>(base_t + static_cast<uint64_t>(reader.Varint()));
    exemplar.value = reader.Double();
    exemplar.labels = TakeLabels(reader);
    if (reader.failed()) break;
    out->push_back(exemplar);
  }
  return CheckEnd(reader, out->size() - before, "exemplars");
}

Status DecodeMmapMarkers(std::string_view record, std::vector<WalMmapMarker>* out) {
  ByteReader reader(record);
  if (static_cast<RecordType>(reader.Byte()) != RecordType::kMmapMarkers) return WrongType();
  const size_t before = out->size();
  while (!reader.empty()) {
    WalMmapMarker marker;
    marker.ref = reader.BigEndian64();
    marker.chunk_ref = reader.BigEndian64();
    if (reader.failed()) break;
    out->push_back(marker);
  }
  return CheckEnd(reader, out->size() - before, "mmap markers");
}

Status DecodeMetadata(std::string_view record, std::vector<WalMetadata>* out) {
  ByteReader reader(record);
  if (static_cast<RecordType>(reader.Byte()) != RecordType::kMetadata) return WrongType();
  while (!reader.empty()) {
    WalMetadata metadata;
    metadata.ref = reader.Uvarint();
    const uint8_t type = reader.Byte();
    metadata.type = type <= static_cast<uint8_t>(MetricType::kStateset)
                        ? static_cast<MetricType>(type)
                        : MetricType::kUnknown;
    for (uint64_t left = reader.Uvarint(); left > 0 && !reader.failed(); --left) {
      const std::string_view name = reader.UvarintString();
      const std::string_view value = reader.UvarintString();
      if (name == kUnitField) metadata.unit = value;
      if (name == kHelpField) metadata.help = value;
    }
    if (reader.failed()) break;
    out->push_back(metadata);
  }
  return CheckEnd(reader);
}

Result<int64_t> DecodeMinValidTime(std::string_view record) {
  ByteReader reader(record);
  if (static_cast<RecordType>(reader.Byte()) != RecordType::kMinValidTime) return WrongType();
  const auto min_ms = static_cast<int64_t>(reader.BigEndian64());
  NARTHEX_RETURN_IF_ERROR(CheckEnd(reader));
  if (!reader.empty()) {
    return MakeError(ErrorCode::kCorruption, "unexpected {} bytes left in entry",
                     reader.remaining());
  }
  return min_ms;
}

// ------------------------------------------------------------------------------------------------

void BeginSeriesRecord(std::string* out) {
  out->push_back(static_cast<char>(RecordType::kSeries));
}

void AddSeries(uint64_t ref, const Labels& labels, std::string* out) {
  ByteWriter(out).PutBigEndian64(ref);
  AppendWalLabels(labels, out);
}

void AddSeries(uint64_t ref, std::span<const LabelView> labels, std::string* out) {
  ByteWriter writer(out);
  writer.PutBigEndian64(ref);
  writer.PutUvarint(labels.size());
  for (const LabelView& label : labels) {
    writer.PutUvarintString(label.name);
    writer.PutUvarintString(label.value);
  }
}

void AddSeries(const WalSeries& series, std::string* out) {
  ByteWriter writer(out);
  writer.PutBigEndian64(series.ref);
  writer.PutBytes(series.labels);
}

void EncodeSamples(std::span<const WalSample> samples, SampleFormat format, std::string* out) {
  ByteWriter writer(out);
  if (format == SampleFormat::kV2) {
    writer.PutByte(static_cast<uint8_t>(RecordType::kSamplesV2));
    FrameWriterV2 frame;
    for (const WalSample& sample : samples) {
      frame.Write(sample, writer);
      writer.PutDouble(sample.value);
    }
    return;
  }
  writer.PutByte(static_cast<uint8_t>(RecordType::kSamples));
  if (samples.empty()) return;
  const WalSample& first = samples.front();
  writer.PutBigEndian64(first.ref);
  writer.PutBigEndian64(static_cast<uint64_t>(first.timestamp_ms));

  // Grown once: a commit of a scrape has thousands of samples.
  constexpr size_t kSampleBytesMax = 2 * kVarintBytesMax + sizeof(double);
  const size_t start = out->size();
  out->resize(start + samples.size() * kSampleBytesMax);
  char* p = out->data() + start;
  for (const WalSample& sample : samples) {
    p += StoreUvarint(p, ZigZagEncode(static_cast<int64_t>(sample.ref - first.ref)));
    p += StoreUvarint(
        p, ZigZagEncode(static_cast<int64_t>(static_cast<uint64_t>(sample.timestamp_ms) -
                                             static_cast<uint64_t>(first.timestamp_ms))));
    StoreBigEndian64(p, std::bit_cast<uint64_t>(sample.value));
    p += sizeof(double);
  }
  out->resize(static_cast<size_t>(p - out->data()));
}

void EncodeTombstones(std::span<const WalTombstone> tombstones, std::string* out) {
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(RecordType::kTombstones));
  for (const WalTombstone& stone : tombstones) {
    writer.PutBigEndian64(stone.ref);
    writer.PutVarint(stone.min_ms);
    writer.PutVarint(stone.max_ms);
  }
}

void EncodeExemplars(std::span<const WalExemplar> exemplars, std::string* out) {
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(RecordType::kExemplars));
  if (exemplars.empty()) return;
  const WalExemplar& first = exemplars.front();
  writer.PutBigEndian64(first.ref);
  writer.PutBigEndian64(static_cast<uint64_t>(first.timestamp_ms));
  for (const WalExemplar& exemplar : exemplars) {
    writer.PutVarint(static_cast<int64_t>(exemplar.ref - first.ref));
    writer.PutVarint(static_cast<int64_t>(static_cast<uint64_t>(exemplar.timestamp_ms) -
                                          static_cast<uint64_t>(first.timestamp_ms)));
    writer.PutDouble(exemplar.value);
    if (exemplar.labels.empty()) {
      writer.PutUvarint(0);
    } else {
      writer.PutBytes(exemplar.labels);
    }
  }
}

void EncodeMmapMarkers(std::span<const WalMmapMarker> markers, std::string* out) {
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(RecordType::kMmapMarkers));
  for (const WalMmapMarker& marker : markers) {
    writer.PutBigEndian64(marker.ref);
    writer.PutBigEndian64(marker.chunk_ref);
  }
}

void EncodeMetadata(std::span<const WalMetadata> metadata, std::string* out) {
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(RecordType::kMetadata));
  for (const WalMetadata& entry : metadata) {
    writer.PutUvarint(entry.ref);
    writer.PutByte(static_cast<uint8_t>(entry.type));
    writer.PutUvarint(2);
    writer.PutUvarintString(kUnitField);
    writer.PutUvarintString(entry.unit);
    writer.PutUvarintString(kHelpField);
    writer.PutUvarintString(entry.help);
  }
}

void EncodeMinValidTime(int64_t min_ms, std::string* out) {
  ByteWriter writer(out);
  writer.PutByte(static_cast<uint8_t>(RecordType::kMinValidTime));
  writer.PutBigEndian64(static_cast<uint64_t>(min_ms));
}

}  // namespace narthex::tsdb
