#include "tsdb/wal/records.h"

#include <gtest/gtest.h>

#include "tsdb/chunks/conformance_for_test.h"

namespace narthex::tsdb {
namespace {

Histogram H1() {
  Histogram h;
  h.schema = 3;
  h.zero_threshold = 0.001;
  h.zero_count = 2;
  h.count = 12;
  h.sum = 18.4;
  h.positive_spans = {{0, 2}, {1, 2}};
  h.positive_buckets = {1, 1, -1, 0};
  h.negative_spans = {{-2, 1}};
  h.negative_buckets = {5};
  return h;
}
Histogram Nhcb() {
  Histogram h;
  h.schema = kCustomBucketsSchema;
  h.count = 6;
  h.sum = 7.25;
  h.custom_values = {0.005, 1, 2.5, 1e9};
  h.positive_spans = {{0, 2}, {2, 1}};
  h.positive_buckets = {1, 1, 1};
  return h;
}

TEST(Records, GoldenVectors) {
  std::string got;
  const auto expect = [&](const char* hex) {
    EXPECT_EQ(EncodeHex(got), hex);
    got.clear();
  };
  BeginSeriesRecord(&got);
  AddSeries(7, Labels{{"__name__", "up"}, {"job", "x"}}, &got);
  expect("01000000000000000702085f5f6e616d655f5f027570036a6f620178");

  EncodeTombstones(std::vector<WalTombstone>{{7, -5, 1000}, {7, 2000, 3000}}, &got);
  expect("03000000000000000709d00f0000000000000007a01ff02e");

  std::string labels;
  AppendWalLabels(Labels{{"trace_id", "ab"}}, &labels);
  EncodeExemplars(std::vector<WalExemplar>{{7, 1000, 1.5, labels}, {6, 990, 2, {}}}, &got);
  expect(
      "04000000000000000700000000000003e800003ff8000000000000010874726163655f6964026162011340000000"
      "00"
      "00000000");

  EncodeMmapMarkers(std::vector<WalMmapMarker>{{7, uint64_t{1} << 32 | 8}}, &got);
  expect("0500000000000000070000000100000008");

  EncodeMetadata(std::vector<WalMetadata>{{7, MetricType::kCounter, "s", "hi"}}, &got);
  expect("0607010204554e495401730448454c50026869");

  const std::vector<WalSample> samples = {
      {7, 1000, 500, 1}, {6, 1010, 0, 2}, {9, 1000, 500, 3}, {10, 1000, 500, 4}};
  EncodeSamples(samples, SampleFormat::kV1, &got);
  expect(
      "02000000000000000700000000000003e800003ff000000000000001144000000000000000040040080000000000"
      "00"
      "06004010000000000000");
  EncodeSamples(samples, SampleFormat::kV2, &got);
  expect(
      "0b0ed00fe8073ff00000000000000114004000000000000000060002004008000000000000020001401000000000"
      "00"
      "00");

  const std::vector<WalHistogram> histograms = {{7, 1000, 500, Nhcb()}, {8, 1001, 500, H1()}};
  EncodeHistogramSamples(histograms, SampleFormat::kV1, &got);
  expect(
      "07000000000000000700000000000003e8020200063f50624dd2f1a9fc020c403266666666666602000202020103"
      "01"
      "0402020100010a");
  EncodeCustomBucketsSamples(histograms, &got);
  expect(
      "09000000000000000700000000000003e80000006900000000000000000006401d00000000000002000204010003"
      "02"
      "020200043f747ae147ae147b3ff0000000000000400400000000000041cdcd6500000000");
  EncodeHistogramSamples(histograms, SampleFormat::kV2, &got);
  expect(
      "0c0ed00fe807006900000000000000000006401d0000000000000200020401000302020200043f747ae147ae147b"
      "3f"
      "f0000000000000400400000000000041cdcd650000000002020100063f50624dd2f1a9fc020c4032666666666666"
      "02"
      "000202020103010402020100010a");

  const std::vector<WalFloatHistogram> floats = {{8, 1001, 500, H1().ToFloat()},
                                                 {7, 1000, 0, Nhcb().ToFloat()}};
  EncodeHistogramSamples(floats, SampleFormat::kV1, &got);
  expect(
      "08000000000000000800000000000003e9000000063f50624dd2f1a9fc4000000000000000402800000000000040"
      "32"
      "6666666666660200020202010301043ff000000000000040000000000000003ff00000000000003ff00000000000"
      "00"
      "014014000000000000");
  EncodeCustomBucketsSamples(floats, &got);
  expect(
      "0a000000000000000700000000000003e80000006900000000000000000000000000000000401800000000000040"
      "1d"
      "000000000000020002040100033ff00000000000004000000000000000400800000000000000043f747ae147ae14"
      "7b"
      "3ff0000000000000400400000000000041cdcd6500000000");
  EncodeMinValidTime(1000, &got);
  EXPECT_EQ(DecodeMinValidTime(got).value_or(0), 1000);
  expect("0e00000000000003e8");
}

std::vector<LabelView> JsonLabels(simdjson::dom::element record) {
  std::vector<LabelView> labels;
  simdjson::dom::array list;
  if (record["labels"].get(list) != simdjson::SUCCESS) return labels;
  for (simdjson::dom::element pair : list) {
    labels.push_back({pair.at(0).get_string().value(), pair.at(1).get_string().value()});
  }
  return labels;
}

std::string EncodedLabels(const std::vector<LabelView>& labels) {
  std::string record;
  AddSeries(0, labels, &record);
  return record.substr(sizeof(uint64_t));
}

int64_t JsonStart(simdjson::dom::element record) {
  int64_t st = 0;
  return record["st"].get(st) == simdjson::SUCCESS ? st : 0;
}

template <typename H>
void CheckHistograms(simdjson::dom::element e, std::string_view bytes, SampleFormat format,
                     bool custom) {
  std::vector<WalHistogramOf<H>> decoded;
  ASSERT_TRUE(DecodeHistogramSamples(bytes, &decoded).ok());
  std::vector<WalHistogramOf<H>> want;
  for (simdjson::dom::element r : e["records"].get_array()) {
    WalHistogramOf<H> sample{r["ref"].get_uint64().value(), r["t"].get_int64().value(),
                             JsonStart(r), H{}};
    JsonHistogram(r["h"].value(), &sample.histogram);
    want.push_back(sample);
  }
  ASSERT_EQ(decoded.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(decoded[i].ref, want[i].ref);
    EXPECT_EQ(decoded[i].timestamp_ms, want[i].timestamp_ms);
    EXPECT_EQ(decoded[i].start_ms, want[i].start_ms);
    EXPECT_EQ(DescribeHistogram(decoded[i].histogram), DescribeHistogram(want[i].histogram));
  }
  std::string encoded;
  if (custom) {
    EncodeCustomBucketsSamples(want, &encoded);
  } else {
    EncodeHistogramSamples(want, format, &encoded);
  }
  EXPECT_EQ(EncodeHex(encoded), EncodeHex(bytes));
}

void CheckCase(simdjson::dom::element e) {
  const std::string bytes = DecodeBase64(e["base64"].get_string().value());
  const auto type = static_cast<RecordType>(e["type_byte"].get_uint64().value());
  ASSERT_EQ(TypeOfRecord(bytes), type);
  simdjson::dom::array records = e["records"].get_array().value();
  std::string encoded;
  const SampleFormat format = type == RecordType::kSamplesV2 ||
                                      type == RecordType::kHistogramSamplesV2 ||
                                      type == RecordType::kFloatHistogramSamplesV2
                                  ? SampleFormat::kV2
                                  : SampleFormat::kV1;
  size_t i = 0;
  switch (type) {
    case RecordType::kSeries: {
      std::vector<WalSeries> decoded;
      ASSERT_TRUE(DecodeSeries(bytes, &decoded).ok());
      ASSERT_EQ(decoded.size(), records.size());
      BeginSeriesRecord(&encoded);
      for (simdjson::dom::element r : records) {
        EXPECT_EQ(decoded[i].ref, r["ref"].get_uint64().value());
        const std::vector<LabelView> labels = JsonLabels(r);
        size_t at = 0;
        ForEachLabel(decoded[i].labels, [&](std::string_view name, std::string_view value) {
          ASSERT_LT(at, labels.size());
          EXPECT_EQ(name, labels[at].name);
          EXPECT_EQ(value, labels[at].value);
          ++at;
        });
        EXPECT_EQ(at, labels.size());
        AddSeries(decoded[i].ref, labels, &encoded);
        ++i;
      }
      break;
    }
    case RecordType::kSamples:
    case RecordType::kSamplesV2: {
      std::vector<WalSample> decoded;
      ASSERT_TRUE(DecodeSamples(bytes, &decoded).ok());
      ASSERT_EQ(decoded.size(), records.size());
      for (simdjson::dom::element r : records) {
        EXPECT_EQ(decoded[i].ref, r["ref"].get_uint64().value());
        EXPECT_EQ(decoded[i].timestamp_ms, r["t"].get_int64().value());
        EXPECT_EQ(decoded[i].start_ms, JsonStart(r));
        EXPECT_EQ(std::bit_cast<uint64_t>(decoded[i].value),
                  std::bit_cast<uint64_t>(JsonDouble(r["v"].value())));
        ++i;
      }
      EncodeSamples(decoded, format, &encoded);
      break;
    }
    case RecordType::kTombstones: {
      std::vector<WalTombstone> decoded;
      ASSERT_TRUE(DecodeTombstones(bytes, &decoded).ok());
      for (simdjson::dom::element r : records) {
        for (simdjson::dom::element interval : r["intervals"].get_array()) {
          ASSERT_LT(i, decoded.size());
          EXPECT_EQ(decoded[i].ref, r["ref"].get_uint64().value());
          EXPECT_EQ(decoded[i].min_ms, interval.at(0).get_int64().value());
          EXPECT_EQ(decoded[i].max_ms, interval.at(1).get_int64().value());
          ++i;
        }
      }
      EXPECT_EQ(i, decoded.size());
      EncodeTombstones(decoded, &encoded);
      break;
    }
    case RecordType::kExemplars: {
      std::vector<WalExemplar> decoded;
      ASSERT_TRUE(DecodeExemplars(bytes, &decoded).ok());
      ASSERT_EQ(decoded.size(), records.size());
      for (simdjson::dom::element r : records) {
        EXPECT_EQ(decoded[i].ref, r["ref"].get_uint64().value());
        EXPECT_EQ(decoded[i].timestamp_ms, r["t"].get_int64().value());
        EXPECT_EQ(std::bit_cast<uint64_t>(decoded[i].value),
                  std::bit_cast<uint64_t>(JsonDouble(r["v"].value())));
        EXPECT_EQ(EncodeHex(decoded[i].labels), EncodeHex(EncodedLabels(JsonLabels(r))));
        ++i;
      }
      EncodeExemplars(decoded, &encoded);
      break;
    }
    case RecordType::kMmapMarkers: {
      std::vector<WalMmapMarker> decoded;
      ASSERT_TRUE(DecodeMmapMarkers(bytes, &decoded).ok());
      ASSERT_EQ(decoded.size(), records.size());
      for (simdjson::dom::element r : records) {
        EXPECT_EQ(decoded[i].ref, r["ref"].get_uint64().value());
        EXPECT_EQ(decoded[i].chunk_ref, r["mmap_ref"].get_uint64().value());
        ++i;
      }
      EncodeMmapMarkers(decoded, &encoded);
      break;
    }
    case RecordType::kMetadata: {
      std::vector<WalMetadata> decoded;
      ASSERT_TRUE(DecodeMetadata(bytes, &decoded).ok());
      ASSERT_EQ(decoded.size(), records.size());
      for (simdjson::dom::element r : records) {
        EXPECT_EQ(decoded[i].ref, r["ref"].get_uint64().value());
        EXPECT_EQ(static_cast<uint64_t>(decoded[i].type), r["type"].get_uint64().value());
        EXPECT_EQ(decoded[i].unit, r["unit"].get_string().value());
        EXPECT_EQ(decoded[i].help, r["help"].get_string().value());
        ++i;
      }
      EncodeMetadata(decoded, &encoded);
      break;
    }
    case RecordType::kHistogramSamples:
    case RecordType::kCustomBucketsHistogramSamples:
    case RecordType::kHistogramSamplesV2:
      CheckHistograms<Histogram>(e, bytes, format,
                                 type == RecordType::kCustomBucketsHistogramSamples);
      return;
    case RecordType::kFloatHistogramSamples:
    case RecordType::kCustomBucketsFloatHistogramSamples:
    case RecordType::kFloatHistogramSamplesV2:
      CheckHistograms<FloatHistogram>(e, bytes, format,
                                      type == RecordType::kCustomBucketsFloatHistogramSamples);
      return;
    default: FAIL() << "record type without a check";
  }
  EXPECT_EQ(EncodeHex(encoded), EncodeHex(bytes));
}

TEST(Records, Conformance) {
  const std::string path = ConformancePath("tsdb/wal-records.jsonl");
  if (path.empty()) GTEST_SKIP() << "no conformance data";
  const int cases = ForEachCase(path, [](simdjson::dom::element e, int line) {
    SCOPED_TRACE(line);
    CheckCase(e);
  });
  EXPECT_GT(cases, 40);
  RecordProperty("cases", cases);
}

TEST(Records, EveryTruncationFailsOrGivesAPrefix) {
  std::vector<WalSample> samples;
  for (uint64_t i = 0; i < 20; ++i) {
    samples.push_back({i * 300, 1000 + static_cast<int64_t>(i), 7, static_cast<double>(i)});
  }
  for (const SampleFormat format : {SampleFormat::kV1, SampleFormat::kV2}) {
    std::string record;
    EncodeSamples(samples, format, &record);
    size_t complete = 0;
    for (size_t size = 1; size <= record.size(); ++size) {
      std::vector<WalSample> decoded;
      const Status status = DecodeSamples(std::string_view(record).substr(0, size), &decoded);
      ASSERT_LE(decoded.size(), samples.size());
      for (size_t i = 0; i < decoded.size(); ++i) {
        EXPECT_EQ(decoded[i].ref, samples[i].ref);
        EXPECT_EQ(decoded[i].value, samples[i].value);
      }
      if (status.ok()) {
        ++complete;
      } else if (size > 17) {
        EXPECT_EQ(status.message(),
                  fmt::format("decode error after {} samples: invalid size", decoded.size()));
      }
    }
    // Only at the ends of samples, and with the type byte alone. A V1 header without samples too.
    EXPECT_EQ(complete, samples.size() + (format == SampleFormat::kV1 ? 2 : 1));
  }
  EXPECT_EQ(DecodeSeries("\x02", nullptr).message(), "invalid record type");
}

TEST(Records, SchemasThatNobodyKnowsAreSkippedAndHighOnesReduced) {
  Histogram high = H1();
  high.schema = 10;
  Histogram unknown = H1();
  unknown.schema = 53;
  std::string record;
  EncodeHistogramSamples(std::vector<WalHistogram>{{1, 1, 0, high}, {2, 1, 0, unknown}},
                         SampleFormat::kV1, &record);
  std::vector<WalHistogram> decoded;
  size_t skipped = 0;
  ASSERT_TRUE(DecodeHistogramSamples(record, &decoded, &skipped).ok());
  ASSERT_EQ(decoded.size(), 1u);
  EXPECT_EQ(decoded[0].histogram.schema, 8);
  EXPECT_EQ(skipped, 1u);
}

}  // namespace
}  // namespace narthex::tsdb
