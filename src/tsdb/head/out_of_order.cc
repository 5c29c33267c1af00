#include "tsdb/head/out_of_order.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/chunks/sample_reader.h"

namespace narthex::tsdb {
namespace {

ValueKind KindOfSample(const OutOfOrderSample& sample) {
  if (sample.histogram != nullptr) return ValueKind::kHistogram;
  if (sample.float_histogram != nullptr) return ValueKind::kFloatHistogram;
  return ValueKind::kFloat;
}

// A run of histograms of one kind as chunks: one, or more at counter resets and new layouts.
template <typename H>
Status EncodeRun(std::span<const OutOfOrderSample> run, ChunkEncoding encoding,
                 std::vector<EncodedChunk>* out) {
  auto open = std::make_unique<HistogramChunkAppender<H>>(encoding);
  int64_t min_ms = run.front().timestamp_ms;
  int64_t max_ms = min_ms;
  const auto close = [&] {
    out->push_back({min_ms, max_ms, encoding, std::string(open->bytes())});
  };
  for (const OutOfOrderSample& sample : run) {
    const H* histogram;
    if constexpr (std::is_same_v<H, Histogram>) {
      histogram = sample.histogram.get();
    } else {
      histogram = sample.float_histogram.get();
    }
    NARTHEX_TRY(auto outcome,
                open->Append(nullptr, sample.start_ms, sample.timestamp_ms, *histogram));
    if (outcome.kind == HistogramAppendKind::kNewChunk) {
      close();
      open = std::move(outcome.next);
      min_ms = sample.timestamp_ms;
    }
    max_ms = sample.timestamp_ms;
  }
  close();
  return {};
}

}  // namespace

bool InsertLate(OutOfOrderSample sample, std::vector<OutOfOrderSample>* open) {
  auto place = open->end();
  while (place != open->begin() && (place - 1)->timestamp_ms > sample.timestamp_ms) --place;
  if (place != open->begin() && (place - 1)->timestamp_ms == sample.timestamp_ms) return false;
  open->insert(place, std::move(sample));
  return true;
}

Result<std::vector<EncodedChunk>> EncodeLate(const std::vector<OutOfOrderSample>& samples,
                                             bool xor2, bool histogram_st) {
  std::vector<EncodedChunk> chunks;
  for (size_t first = 0; first < samples.size();) {
    const ValueKind kind = KindOfSample(samples[first]);
    size_t last = first + 1;
    while (last < samples.size() && KindOfSample(samples[last]) == kind) ++last;
    const std::span<const OutOfOrderSample> run(samples.data() + first, last - first);
    const ChunkEncoding encoding =
        EncodingFor(kind, kind == ValueKind::kFloat ? xor2 : histogram_st);
    if (kind == ValueKind::kFloat) {
      FloatChunkEncoder encoder(encoding);
      for (const OutOfOrderSample& sample : run) {
        encoder.Append(sample.start_ms, sample.timestamp_ms, sample.value);
      }
      chunks.push_back(
          {run.front().timestamp_ms, run.back().timestamp_ms, encoding, encoder.Bytes()});
    } else if (kind == ValueKind::kHistogram) {
      NARTHEX_RETURN_IF_ERROR(EncodeRun<Histogram>(run, encoding, &chunks));
    } else {
      NARTHEX_RETURN_IF_ERROR(EncodeRun<FloatHistogram>(run, encoding, &chunks));
    }
    first = last;
  }
  return chunks;
}

void ReadLateSamples(const std::vector<OutOfOrderSample>& samples, TimeRange range,
                     storage::SampleColumns* out) {
  for (const OutOfOrderSample& sample : samples) {
    if (sample.timestamp_ms < range.start_ms || sample.timestamp_ms > range.end_ms) continue;
    if (sample.histogram != nullptr) {
      auto histogram = std::make_shared<FloatHistogram>(sample.histogram->ToFloat());
      histogram->from_integer = true;
      out->AddHistogram(sample.timestamp_ms, std::move(histogram));
    } else if (sample.float_histogram != nullptr) {
      out->AddHistogram(sample.timestamp_ms, sample.float_histogram);
    } else {
      out->AddFloat(sample.timestamp_ms, sample.value);
    }
    out->SetStartTimestamp(sample.start_ms);
  }
}

void WblBatch::AddMarkers(uint64_t ref, const std::vector<uint64_t>& chunk_refs) {
  // Samples from before the marker stay before it.
  if (!floats_.empty() || !histograms_.empty() || !float_histograms_.empty()) Collect();
  // Only the last of several chunks: once it is in a file the others are too, and not before may
  // replay forget the samples.
  markers_.push_back({ref, chunk_refs.empty() ? 0 : chunk_refs.back()});
}

void WblBatch::Collect() {
  const auto add = [&](auto encode) {
    std::string& record = records_.emplace_back();
    encode(&record);
    if (record.empty()) records_.pop_back();
  };
  if (!markers_.empty()) add([&](std::string* r) { EncodeMmapMarkers(markers_, r); });
  if (!floats_.empty()) add([&](std::string* r) { EncodeSamples(floats_, format_, r); });
  const auto add_histograms = [&](const auto& samples) {
    if (samples.empty()) return;
    add([&](std::string* r) { EncodeHistogramSamples(samples, format_, r); });
    if (format_ == SampleFormat::kV1) {
      add([&](std::string* r) { EncodeCustomBucketsSamples(samples, r); });
    }
  };
  add_histograms(std::span<const WalHistogram>(histograms_));
  add_histograms(std::span<const WalFloatHistogram>(float_histograms_));
  markers_.clear();
  floats_.clear();
  histograms_.clear();
  float_histograms_.clear();
}

std::vector<std::string> WblBatch::Take() {
  Collect();
  return std::exchange(records_, {});
}

}  // namespace narthex::tsdb
