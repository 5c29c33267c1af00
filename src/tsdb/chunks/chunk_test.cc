#include "tsdb/chunks/chunk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <random>

#include "tsdb/chunks/conformance_for_test.h"
#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/chunks/sample_reader.h"

namespace narthex::tsdb {
namespace {

using storage::SampleColumns;

constexpr TimeRange kAllTime = {std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max()};

struct FloatSample {
  int64_t t;
  double v;
  int64_t st = 0;
};

std::string EncodeFloats(ChunkEncoding encoding, const std::vector<FloatSample>& samples) {
  FloatChunkEncoder encoder(encoding);
  for (const FloatSample& s : samples) encoder.Append(s.st, s.t, s.v);
  return encoder.Bytes();
}

void ExpectFloats(ChunkEncoding encoding, std::string_view bytes,
                  const std::vector<FloatSample>& want) {
  SampleColumns columns;
  const Status status = DecodeChunk(encoding, bytes, kAllTime, {}, &columns);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(columns.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(columns.timestamps_ms[i], want[i].t) << i;
    EXPECT_EQ(std::bit_cast<uint64_t>(columns.values[i]), std::bit_cast<uint64_t>(want[i].v)) << i;
    const int64_t start = columns.start_timestamps_ms.empty() ? 0 : columns.start_timestamps_ms[i];
    EXPECT_EQ(start, want[i].st) << i;
  }
}

std::vector<FloatSample> Every(int64_t step, const std::vector<double>& values, int64_t odd = 0) {
  std::vector<FloatSample> samples;
  for (size_t i = 0; i < values.size(); ++i) {
    samples.push_back({static_cast<int64_t>(i) * step + (i % 2 == 1 ? odd : 0), values[i]});
  }
  return samples;
}

TEST(FloatChunks, GoldenVectors) {
  const std::vector<FloatSample> f = {{1000, 1},    {16000, 1},          {31000, 2.5},
                                      {46010, 2.5}, {61000, StaleNan()}, {2061000, -3}};
  const std::vector<FloatSample> g = {{1000, 1, 500},    {16000, 2, 500},   {31000, 3, 500},
                                      {46000, 1, 30500}, {61000, 2, 30500}, {76000, 3, 60500}};
  std::vector<double> ones(130, 1.0);
  const std::vector<double> w = {1, 1.1, 1.5, 1.25, 1.1, 2, 2.1};
  struct Case {
    const char* name;
    ChunkEncoding encoding;
    std::vector<FloatSample> samples;
    const char* hex;
  };
  for (const Case& c : {
           Case{"XOR F", ChunkEncoding::kXor, f,
                "0006d00f3ff00000000000009875309bffd800a5ff662f7ff4000000000003e00000000003c93e583f"
                "bff8"
                "000000000002"},
           Case{"XOR2 F", ChunkEncoding::kXor2, f,
                "000600d00f3ff00000000000009875509bffdc00a6ff67f00000000000f24f9601d00180"},
           Case{"XOR2 G", ChunkEncoding::kXor2, g,
                "000683d00f3ff0000000000000e8079875c12fffd603a133fffc3e93ffbe0ea62000fde2b400"},
           // Start timestamp data is forced at index 127.
           Case{"XOR2 130", ChunkEncoding::kXor2, Every(1000, ones),
                "00827f003ff0000000000000e80700000000000000000000000000000001f3d860f1f43c7d00"},
           // Windows by the rule of 3.16.
           Case{"XOR2 windows", ChunkEncoding::kXor2, Every(1000, w),
                "000700003ff0000000000000e807cfc3333333333336b33999999999999b5817599acccccccccccda1"
                "fbff"
                "8cccccccccccdb0c33333333333340"},
           Case{"XOR2 windows, odd times late", ChunkEncoding::kXor2, Every(1000, w, 3),
                "000700003ff0000000000000eb07cfc33333333333377feb333999999999999b800d9817bff5999acc"
                "cccccc"
                "cccdc006c1fbff8cccccccccccddffad0c33333333333340"},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(EncodeHex(EncodeFloats(c.encoding, c.samples)), c.hex);
    ExpectFloats(c.encoding, DecodeHex(c.hex), c.samples);
  }
}

TEST(FloatChunks, DecodesWhatOlderWindowRulesWrote) {
  const std::vector<double> w = {1, 1.1, 1.5, 1.25, 1.1, 2, 2.1};
  ExpectFloats(
      ChunkEncoding::kXor2,
      DecodeHex("000700003ff0000000000000e807cfc3333333333336b33999999999999b3000000000000459"
                "9999999999b43f7ff199999999999b6186666666666668"),
      Every(1000, w));
}

TEST(FloatChunks, Conformance) {
  const std::string path = ConformancePath("tsdb/chunks-float.jsonl");
  if (path.empty()) GTEST_SKIP() << "no conformance data";
  const int cases = ForEachCase(path, [](simdjson::dom::element e, int line) {
    SCOPED_TRACE(line);
    const auto encoding = static_cast<ChunkEncoding>(e["encoding_byte"].get_uint64().value());
    std::vector<FloatSample> samples;
    simdjson::dom::array list;
    if (e["samples"].get(list) == simdjson::SUCCESS) {
      for (simdjson::dom::element s : list) {
        FloatSample sample{s.at(0).get_int64().value(), JsonDouble(s.at(1).value())};
        if (s.get_array().size() > 2) sample.st = s.at(2).get_int64().value();
        samples.push_back(sample);
      }
    }
    const std::string want = DecodeBase64(e["chunk_base64"].get_string().value());
    EXPECT_EQ(EncodeHex(EncodeFloats(encoding, samples)), EncodeHex(want));
    ExpectFloats(encoding, want, samples);
  });
  EXPECT_GT(cases, 100);
  RecordProperty("cases", cases);
}

// Random walks over every code of both encodings, also through the bounded appender at every
// capacity.
TEST(FloatChunks, RoundTripsAndNeverWritesBehindCapacity) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<FloatSample> samples;
    int64_t t = static_cast<int64_t>(random() >> 20);
    int64_t st = round % 3 == 0 ? 0 : t - 5;
    double v = 1;
    const size_t count = 1 + random() % 200;
    for (size_t i = 0; i < count; ++i) {
      samples.push_back({t, v, st});
      t += 15'000;
      if (random() % 4 == 0) t += static_cast<int64_t>(random() >> (24 + random() % 38));
      if (random() % 8 == 0 && round % 3 != 0) st = t - 100;
      switch (random() % 6) {
        case 0: v = std::bit_cast<double>(random()); break;
        case 1: v = StaleNan(); break;
        case 2: v = static_cast<double>(random() % 1000); break;
        case 3: v += 0.1; break;
        default: break;
      }
    }
    for (const ChunkEncoding encoding : {ChunkEncoding::kXor, ChunkEncoding::kXor2}) {
      std::vector<FloatSample> want = samples;
      if (encoding == ChunkEncoding::kXor) {
        for (FloatSample& s : want) s.st = 0;
      }
      const std::string bytes = EncodeFloats(encoding, want);
      ExpectFloats(encoding, bytes, want);

      // The bounded appender grows the buffer only when it must, and gives the same bytes.
      std::string grown(8, '\0');
      XorState xor_state;
      Xor2State xor2_state;
      for (const FloatSample& s : want) {
        for (;;) {
          std::string guarded = grown + std::string(64, '\x5a');
          auto* buffer = reinterpret_cast<uint8_t*>(guarded.data());
          const bool fits = encoding == ChunkEncoding::kXor
                                ? TryXorAppend(xor_state, buffer, grown.size(), s.t, s.v)
                                : TryXor2Append(xor2_state, buffer, grown.size(), s.st, s.t, s.v);
          ASSERT_EQ(guarded.substr(grown.size()), std::string(64, '\x5a'));
          grown = guarded.substr(0, grown.size());
          if (fits) break;
          grown.resize(grown.size() + 1 + random() % 16);
        }
      }
      auto* buffer = reinterpret_cast<uint8_t*>(grown.data());
      if (encoding == ChunkEncoding::kXor) {
        StoreXorHeader(xor_state, buffer);
        grown.resize(xor_state.size_bytes());
      } else {
        StoreXor2Header(xor2_state, buffer);
        grown.resize(xor2_state.size_bytes());
      }
      EXPECT_EQ(EncodeHex(grown), EncodeHex(bytes));
    }
  }
}

TEST(FloatChunks, RangeCutsBothEndsAndAppendsToColumns) {
  std::vector<double> values(50);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  for (const ChunkEncoding encoding : {ChunkEncoding::kXor, ChunkEncoding::kXor2}) {
    const std::string bytes = EncodeFloats(encoding, Every(10, values));
    SampleColumns columns;
    columns.AddHistogram(-1, std::make_shared<FloatHistogram>());
    ASSERT_TRUE(DecodeChunk(encoding, bytes, {95, 130}, {}, &columns).ok());
    EXPECT_EQ(columns.timestamps_ms, (std::vector<int64_t>{-1, 100, 110, 120, 130}));
    EXPECT_EQ(columns.values, (std::vector<double>{0, 10, 11, 12, 13}));
    ASSERT_EQ(columns.histograms.size(), 5u);
    EXPECT_EQ(columns.histograms[4], nullptr);
  }
}

// Chunks decoded together give what they give one by one, whatever their samples, ranges, lengths
// and damages.
TEST(FloatChunks, TogetherAsOneByOne) {
  std::mt19937_64 random(7);
  size_t whole = 0;
  size_t damaged = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> bytes;
    int64_t t = static_cast<int64_t>(random() % 1'000'000);
    const int64_t first_ms = t;
    double v = 0;
    for (size_t c = 0, chunks = 1 + random() % 5; c < chunks; ++c) {
      std::vector<FloatSample> samples;
      const uint64_t shape = random() % 5;
      const uint64_t jitter = random() % 4;
      const size_t count = random() % 8 == 0 ? random() % 4 : 1 + random() % 130;
      for (size_t i = 0; i < count; ++i) {
        t += 15'000;
        if (jitter == 1) t += static_cast<int64_t>(random() % 9) - 4;
        if (jitter == 2) t += static_cast<int64_t>(random() % 14'000);
        if (jitter == 3 && random() % 16 == 0) t += static_cast<int64_t>(random() % (1ull << 40));
        if (shape == 1) v += static_cast<double>(random() % 20) / 2;
        if (shape == 2) v = std::bit_cast<double>(random());
        if (shape == 3 && random() % 2 == 0) v = static_cast<double>(random() % 3);
        if (shape == 4)
          v = random() % 5 == 0 ? StaleNan() : 0.1 * static_cast<double>(random() % 9);
        samples.push_back({t, v});
      }
      // Now and then one that does not follow in time.
      if (random() % 32 == 0) t -= 1'000'000;
      const bool start = random() % 32 == 0;
      bytes.push_back(EncodeFloats(start ? ChunkEncoding::kXor2 : ChunkEncoding::kXor, samples));
      if (start) bytes.back().insert(0, 1, 'S');
      if (random() % 16 == 0 && bytes.back().size() > 8) {
        if (random() % 2 == 0)
          bytes.back().resize(bytes.back().size() - 1 - random() % 6);
        else
          bytes.back()[2 + random() % (bytes.back().size() - 2)] ^= static_cast<char>(random());
      }
    }
    std::vector<ChunkInput> inputs;
    for (const std::string& chunk : bytes) {
      const bool start = chunk.starts_with('S');
      inputs.push_back({start ? ChunkEncoding::kXor2 : ChunkEncoding::kXor,
                        std::string_view(chunk).substr(start ? 1 : 0)});
    }
    TimeRange range = kAllTime;
    if (random() % 2 == 0) {
      const auto span = static_cast<uint64_t>(std::max<int64_t>(t - first_ms, 1));
      range.start_ms = first_ms + static_cast<int64_t>(random() % span);
      range.end_ms = range.start_ms + static_cast<int64_t>(random() % span);
    }
    SampleColumns want;
    SampleColumns got;
    for (SampleColumns* columns : {&want, &got}) {
      if (round % 3 == 0) columns->AddFloat(-5, 1);
    }
    Status wanted;
    for (const ChunkInput& input : inputs) {
      wanted = DecodeChunk(input.encoding, input.bytes, range, {}, &want);
      if (!wanted.ok()) break;
    }
    const Status status = DecodeChunks(inputs, range, {}, &got);
    (wanted.ok() ? whole : damaged) += 1;
    ASSERT_EQ(status.message(), wanted.message()) << round;
    ASSERT_EQ(got.timestamps_ms, want.timestamps_ms) << round;
    ASSERT_EQ(got.values.size(), want.values.size()) << round;
    for (size_t i = 0; i < want.values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint64_t>(got.values[i]), std::bit_cast<uint64_t>(want.values[i]))
          << round << " " << i;
    }
    ASSERT_EQ(got.start_timestamps_ms, want.start_timestamps_ms) << round;
  }
  EXPECT_GT(whole, 1000u);
  EXPECT_GT(damaged, 20u);
}

TEST(FloatChunks, TruncationIsAnErrorAndLeavesColumnsAlone) {
  const std::string bytes =
      EncodeFloats(ChunkEncoding::kXor, Every(1000, {1, 2.5, 3.7, 1e9, -4, 5.5, 0.1}));
  for (size_t size = 0; size + 1 < bytes.size(); ++size) {
    SampleColumns columns;
    columns.AddFloat(1, 2);
    const Status status = DecodeChunk(ChunkEncoding::kXor, std::string_view(bytes).substr(0, size),
                                      kAllTime, {}, &columns);
    if (size >= 2) {
      EXPECT_FALSE(status.ok()) << size;
    }
    EXPECT_EQ(columns.size(), 1u);
  }
  SampleColumns columns;
  EXPECT_EQ(DecodeChunk(static_cast<ChunkEncoding>(9), bytes, kAllTime, {}, &columns).message(),
            "invalid chunk encoding \"<unknown>\"");
}

// ---------------------------------------------------------------------------------------------

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
Histogram H2() {
  Histogram h = H1();
  h.count = 21;
  h.sum = 30.5;
  h.zero_count = 3;
  h.positive_buckets = {2, 2, -1, 1};
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
FloatHistogram Float(const Histogram& h) {
  FloatHistogram f;
  f.schema = h.schema;
  f.zero_threshold = h.zero_threshold;
  f.zero_count = static_cast<double>(h.zero_count);
  f.count = static_cast<double>(h.count);
  f.sum = h.sum;
  f.positive_spans = h.positive_spans;
  f.negative_spans = h.negative_spans;
  f.custom_values = h.custom_values;
  for (const int64_t c : DeltasToCounts(h.positive_buckets)) {
    f.positive_buckets.push_back(static_cast<double>(c));
  }
  for (const int64_t c : DeltasToCounts(h.negative_buckets)) {
    f.negative_buckets.push_back(static_cast<double>(c));
  }
  return f;
}

TEST(HistogramChunks, GoldenVectors) {
  Histogram stale;
  stale.sum = StaleNan();
  {
    IntHistogramAppender appender(ChunkEncoding::kHistogram);
    int64_t t = 1000;
    for (const Histogram& h : {H1(), H2(), stale}) {
      EXPECT_TRUE(appender.Append(nullptr, 0, t, h).ok());
      t += 15'000;
    }
    EXPECT_EQ(
        EncodeHex(appender.bytes()),
        "000300ff3f50624dd2f1a9fc9ca494631b78fa319240326666666666668c6ec2fc1d4c6263b33ce66666666"
        "66718a218bdff3a000000000008");
  }
  {
    IntHistogramAppender appender(ChunkEncoding::kHistogram);
    EXPECT_TRUE(appender.Append(nullptr, 0, 1000, Nhcb()).ok());
    EXPECT_EQ(EncodeHex(appender.bytes()),
              "00010000ee5ca48c94b78fa7d38a41cdcd6500000000f1f458803a00000000000118c4");
  }
  {
    FloatHistogramAppender appender(ChunkEncoding::kFloatHistogram);
    EXPECT_TRUE(appender.Append(nullptr, 0, 1000, Float(H1())).ok());
    EXPECT_TRUE(appender.Append(nullptr, 0, 16000, Float(H2())).ok());
    EXPECT_EQ(
        EncodeHex(appender.bytes()),
        "000200ff3f50624dd2f1a9fc9ca494631b78fa100a0000000000001000000000000000100c9999999999998"
        "ffc00000000000010000000000000000ffc0000000000000ffc00000000000010050000000000003e0ea635"
        "8bdd80f6679cccccccccccf097fff583c267ffe12bff00");
  }
  {
    IntHistogramAppender appender(ChunkEncoding::kHistogramSt);
    EXPECT_TRUE(appender.Append(nullptr, 500, 1000, H1()).ok());
    EXPECT_TRUE(appender.Append(nullptr, 500, 16000, H2()).ok());
    EXPECT_TRUE(appender.Append(nullptr, 16500, 31000, H2()).ok());
    EXPECT_EQ(
        EncodeHex(appender.bytes()),
        "000382ff3f50624dd2f1a9fc9ca494631b78fa319240326666666666668c6ec2f403fc1d4c6263b33ce6666"
        "666666718a26deebdd77b8300");
  }
  {
    FloatHistogramAppender appender(ChunkEncoding::kFloatHistogramSt);
    EXPECT_TRUE(appender.Append(nullptr, 500, 1000, Float(H1())).ok());
    EXPECT_TRUE(appender.Append(nullptr, 600, 16000, Float(H2())).ok());
    EXPECT_EQ(
        EncodeHex(appender.bytes()),
        "000281ff3f50624dd2f1a9fc9ca494631b78fa100a0000000000001000000000000000100c9999999999998"
        "ffc00000000000010000000000000000ffc0000000000000ffc00000000000010050000000000003a01fe0e"
        "a6358bdd80f6679cccccccccccf097fff583c267ffe12bff786400");
  }
}

template <typename H>
void RunHistogramCase(simdjson::dom::element e, ChunkEncoding encoding) {
  auto appender = std::make_unique<HistogramChunkAppender<H>>(encoding);
  std::vector<std::pair<uint64_t, std::string>> chunks;
  std::vector<int64_t> starts;
  uint64_t first_input = 0;
  uint64_t input = 0;
  uint64_t recodes = 0;
  for (simdjson::dom::element in : e["inputs"].get_array()) {
    H h;
    JsonHistogram(in["h"].value(), &h);
    int64_t st = 0;
    if (in["st"].get(st) != simdjson::SUCCESS) st = 0;
    starts.push_back(st);
    auto outcome = appender->Append(nullptr, st, in["t"].get_int64().value(), h);
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    if (outcome->kind == HistogramAppendKind::kRecoded) ++recodes;
    if (outcome->kind == HistogramAppendKind::kNewChunk) {
      chunks.emplace_back(first_input, appender->bytes());
      appender = std::move(outcome->next);
      first_input = input;
    }
    ++input;
  }
  chunks.emplace_back(first_input, appender->bytes());
  EXPECT_EQ(recodes, e["recodes"].get_uint64().value());

  simdjson::dom::array want = e["chunks"].get_array().value();
  ASSERT_EQ(chunks.size(), want.size());
  size_t i = 0;
  for (simdjson::dom::element chunk : want) {
    SCOPED_TRACE(i);
    EXPECT_EQ(chunks[i].first, chunk["first_input"].get_uint64().value());
    const std::string bytes = DecodeBase64(chunk["chunk_base64"].get_string().value());
    EXPECT_EQ(EncodeHex(chunks[i].second), EncodeHex(bytes));
    SampleColumns columns;
    ASSERT_TRUE(DecodeChunk(encoding, bytes, kAllTime, {}, &columns).ok());
    ChunkSampleReader reader(encoding, bytes);
    AnySample sample;
    size_t row = 0;
    for (simdjson::dom::element decoded : chunk["decoded"].get_array()) {
      ASSERT_TRUE(reader.Next(&sample));
      H h;
      JsonHistogram(decoded["h"].value(), &h);
      EXPECT_EQ(sample.timestamp_ms, decoded["t"].get_int64().value());
      EXPECT_EQ(sample.start_ms, starts[chunks[i].first + row]);
      FloatHistogram as_float;
      if constexpr (std::is_same_v<H, Histogram>) {
        EXPECT_EQ(DescribeHistogram(sample.histogram), DescribeHistogram(h));
        as_float = Float(h);
        as_float.counter_reset_hint = h.counter_reset_hint;
      } else {
        EXPECT_EQ(DescribeHistogram(sample.float_histogram), DescribeHistogram(h));
        as_float = h;
      }
      ASSERT_LT(row, columns.size());
      EXPECT_EQ(DescribeHistogram(*columns.histogram(row)), DescribeHistogram(as_float));
      EXPECT_EQ(columns.timestamps_ms[row], sample.timestamp_ms);
      ++row;
    }
    EXPECT_FALSE(reader.Next(&sample));
    EXPECT_TRUE(reader.status().ok());
    EXPECT_EQ(columns.size(), row);
    ++i;
  }
}

TEST(HistogramChunks, Conformance) {
  const std::string path = ConformancePath("tsdb/chunks-histogram.jsonl");
  if (path.empty()) GTEST_SKIP() << "no conformance data";
  const int cases = ForEachCase(path, [](simdjson::dom::element e, int line) {
    SCOPED_TRACE(line);
    const auto encoding = static_cast<ChunkEncoding>(e["encoding_byte"].get_uint64().value());
    if (KindOf(encoding) == ValueKind::kHistogram) {
      RunHistogramCase<Histogram>(e, encoding);
    } else {
      RunHistogramCase<FloatHistogram>(e, encoding);
    }
  });
  EXPECT_GT(cases, 100);
  RecordProperty("cases", cases);
}

TEST(HistogramChunks, AppendOnlyRefusesWithReasons) {
  IntHistogramAppender appender(ChunkEncoding::kHistogram);
  ASSERT_TRUE(appender.Append(nullptr, 0, 1000, H1()).ok());
  Histogram fewer = H1();
  fewer.count = 11;
  Histogram other = H2();
  other.schema = 2;
  Histogram wider = H2();
  wider.positive_spans = {{0, 5}};
  wider.positive_buckets = {2, 2, -3, 2, 1};
  struct Case {
    Histogram h;
    const char* error;
  };
  for (const Case& c :
       {Case{fewer, "histogram counter reset"}, Case{other, "histogram schema change"},
        Case{wider, "histogram layout change with 1 positive and 0 negative forwards inserts"}}) {
    const std::string before(appender.bytes());
    EXPECT_EQ(appender.Append(nullptr, 0, 2000, c.h, AppendMode::kAppendOnly).status().message(),
              c.error);
    EXPECT_EQ(appender.bytes(), before);
  }
}

TEST(HistogramChunks, FirstSampleIsComparedWithThePreviousChunk) {
  IntHistogramAppender before(ChunkEncoding::kHistogram);
  ASSERT_TRUE(before.Append(nullptr, 0, 1000, H2()).ok());
  for (const auto& [h, want] : {std::pair{H2(), CounterResetHeader::kNotReset},
                                std::pair{H1(), CounterResetHeader::kReset}}) {
    IntHistogramAppender after(ChunkEncoding::kHistogram);
    ASSERT_TRUE(after.Append(&before, 0, 2000, h).ok());
    EXPECT_EQ(after.header(), want);
    EXPECT_EQ(CounterResetHeaderOf(ChunkEncoding::kHistogram, after.bytes()), want);
  }
}

TEST(HistogramChunks, StatsKeepBucketsOnlyAtTheBorders) {
  IntHistogramAppender appender(ChunkEncoding::kHistogram);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(appender.Append(nullptr, 0, i, i == 0 ? H1() : H2()).ok());
  }
  SampleColumns columns;
  ASSERT_TRUE(DecodeChunk(ChunkEncoding::kHistogram, appender.bytes(), kAllTime,
                          {.histogram_stats = true}, &columns)
                  .ok());
  ASSERT_EQ(columns.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(columns.histogram(i)->positive_buckets.empty(), i == 1 || i == 2);
    EXPECT_EQ(columns.histogram(i)->count, i == 0 ? 12 : 21);
    EXPECT_EQ(columns.histogram(i)->schema, 3);
  }
}

}  // namespace
}  // namespace narthex::tsdb
