// Any bytes as a WAL record: an error or entries; what was decoded encodes to what decodes again.
#include <cstdint>
#include <string_view>

#include "tsdb/wal/records.h"
#include "util/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  using namespace narthex::tsdb;
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  std::vector<WalSeries> series;
  if (DecodeSeries(record, &series).ok()) {
    std::string again;
    BeginSeriesRecord(&again);
    for (const WalSeries& s : series) {
      AddSeries(s, &again);
      (void)DecodeWalLabels(s.labels);
    }
    NARTHEX_CHECK(again == record);
  }
  std::vector<WalSample> samples;
  if (DecodeSamples(record, &samples).ok() && !samples.empty()) {
    for (const SampleFormat format : {SampleFormat::kV1, SampleFormat::kV2}) {
      std::string again;
      EncodeSamples(samples, format, &again);
      std::vector<WalSample> decoded;
      NARTHEX_CHECK(DecodeSamples(again, &decoded).ok());
      NARTHEX_CHECK(decoded.size() == samples.size());
      NARTHEX_CHECK(decoded.back().ref == samples.back().ref);
      NARTHEX_CHECK(decoded.back().timestamp_ms == samples.back().timestamp_ms);
    }
  }
  std::vector<WalHistogram> histograms;
  (void)DecodeHistogramSamples(record, &histograms);
  std::vector<WalFloatHistogram> float_histograms;
  (void)DecodeHistogramSamples(record, &float_histograms);
  std::vector<WalTombstone> tombstones;
  (void)DecodeTombstones(record, &tombstones);
  std::vector<WalExemplar> exemplars;
  (void)DecodeExemplars(record, &exemplars);
  for (const WalExemplar& exemplar : exemplars) (void)DecodeWalLabels(exemplar.labels);
  std::vector<WalMmapMarker> markers;
  (void)DecodeMmapMarkers(record, &markers);
  std::vector<WalMetadata> metadata;
  (void)DecodeMetadata(record, &metadata);
  (void)DecodeMinValidTime(record);
  return 0;
}
