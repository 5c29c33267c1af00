// The records inside WAL and WBL: what a commit says, in the order it says it.
//
// Decoding is made for bulk replay: samples go into vectors that the caller reuses, series come as
// views into the record so that the head can intern their labels without a copy. Encoding appends
// to a string that is then one record for Wal::Log.
//
// Byte diagrams of all types: docs/formats/wal-records.md. Threads: all functions are pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"
#include "util/bytes.h"
#include "util/status.h"

namespace narthex::tsdb {

enum class RecordType : uint8_t {
  kSeries = 1,
  kSamples = 2,
  kTombstones = 3,
  kExemplars = 4,
  kMmapMarkers = 5,
  kMetadata = 6,
  kHistogramSamples = 7,
  kFloatHistogramSamples = 8,
  kCustomBucketsHistogramSamples = 9,
  kCustomBucketsFloatHistogramSamples = 10,
  kSamplesV2 = 11,
  kHistogramSamplesV2 = 12,
  kFloatHistogramSamplesV2 = 13,
  kMinValidTime = 14,
  kUnknown = 255,
};

// kUnknown for an empty record and for types that nobody knows (replay skips those).
RecordType TypeOfRecord(std::string_view record);
// "series", "samples", "samples-v2" …, as debugging tools print them.
std::string_view RecordTypeName(RecordType type);

// Whether samples carry start timestamps; selects the V2 forms when encoding.
enum class SampleFormat : uint8_t { kV1, kV2 };

// A series as it stands in the record; `labels` is the encoded list and lives as long as the
// record.
struct WalSeries {
  uint64_t ref = 0;
  std::string_view labels;
};
struct WalSample {
  uint64_t ref = 0;
  int64_t timestamp_ms = 0;
  int64_t start_ms = 0;  // 0: unknown.
  double value = 0;
};
template <typename H>
struct WalHistogramOf {
  uint64_t ref = 0;
  int64_t timestamp_ms = 0;
  int64_t start_ms = 0;
  H histogram;
};
using WalHistogram = WalHistogramOf<Histogram>;
using WalFloatHistogram = WalHistogramOf<FloatHistogram>;
// One interval, both ends included.
struct WalTombstone {
  uint64_t ref = 0;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
};
struct WalExemplar {
  uint64_t ref = 0;
  int64_t timestamp_ms = 0;
  double value = 0;
  std::string_view labels;  // As in WalSeries.
};
struct WalMmapMarker {
  uint64_t ref = 0;
  uint64_t chunk_ref = 0;
};
struct WalMetadata {
  uint64_t ref = 0;
  MetricType type = MetricType::kUnknown;
  std::string_view unit;  // Views into the record.
  std::string_view help;
};

// Calls f(name, value) for each pair of an encoded label list, in the order written.
template <typename F>
void ForEachLabel(std::string_view encoded, F f) {
  ByteReader reader(encoded);
  for (uint64_t left = reader.Uvarint(); left > 0; --left) {
    const std::string_view name = reader.UvarintString();
    const std::string_view value = reader.UvarintString();
    f(name, value);
  }
}
Labels DecodeWalLabels(std::string_view encoded);
void AppendWalLabels(const Labels& labels, std::string* out);

// --- Decoding. Each appends to its vector; on an error the vector may hold a part.
// ----------------

Status DecodeSeries(std::string_view record, std::vector<WalSeries>* out);
// Types 2 and 11.
Status DecodeSamples(std::string_view record, std::vector<WalSample>* out);
// Types 7, 9, 12 / 8, 10, 13. Samples of unknown schemas, or whose spans and buckets
// contradict each other, are left out and counted in `skipped` (may be null); schemas 9 to 52 are
// reduced to 8.
Status DecodeHistogramSamples(std::string_view record, std::vector<WalHistogram>* out,
                              size_t* skipped = nullptr);
Status DecodeHistogramSamples(std::string_view record, std::vector<WalFloatHistogram>* out,
                              size_t* skipped = nullptr);
Status DecodeTombstones(std::string_view record, std::vector<WalTombstone>* out);
Status DecodeExemplars(std::string_view record, std::vector<WalExemplar>* out);
Status DecodeMmapMarkers(std::string_view record, std::vector<WalMmapMarker>* out);
Status DecodeMetadata(std::string_view record, std::vector<WalMetadata>* out);
Result<int64_t> DecodeMinValidTime(std::string_view record);

// --- Encoding. Each appends one whole record to `out`.
// --------------------------------------------

// A series record is begun and then filled, since the head has no vector of its new series.
void BeginSeriesRecord(std::string* out);
void AddSeries(uint64_t ref, const Labels& labels, std::string* out);
void AddSeries(uint64_t ref, std::span<const LabelView> labels, std::string* out);
// Adds what was decoded before, without looking into it.
void AddSeries(const WalSeries& series, std::string* out);

void EncodeSamples(std::span<const WalSample> samples, SampleFormat format, std::string* out);
// Type 7 or 8, without the samples with custom buckets: nothing is appended when there are only
// such. Or, with kV2, type 12 or 13 with all of them.
void EncodeHistogramSamples(std::span<const WalHistogram> samples, SampleFormat format,
                            std::string* out);
void EncodeHistogramSamples(std::span<const WalFloatHistogram> samples, SampleFormat format,
                            std::string* out);
// Type 9 or 10: only the samples with custom buckets; nothing is appended when there are none.
// Never needed beside kV2.
void EncodeCustomBucketsSamples(std::span<const WalHistogram> samples, std::string* out);
void EncodeCustomBucketsSamples(std::span<const WalFloatHistogram> samples, std::string* out);
void EncodeTombstones(std::span<const WalTombstone> tombstones, std::string* out);
void EncodeExemplars(std::span<const WalExemplar> exemplars, std::string* out);
void EncodeMmapMarkers(std::span<const WalMmapMarker> markers, std::string* out);
void EncodeMetadata(std::span<const WalMetadata> metadata, std::string* out);
void EncodeMinValidTime(int64_t min_ms, std::string* out);

// The histogram bodies alone, for chunk snapshots.
void AppendWalHistogram(const Histogram& histogram, ByteWriter& writer);
void AppendWalHistogram(const FloatHistogram& histogram, ByteWriter& writer);
void ReadWalHistogram(ByteReader& reader, Histogram* histogram);
void ReadWalHistogram(ByteReader& reader, FloatHistogram* histogram);

}  // namespace narthex::tsdb
