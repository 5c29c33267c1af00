// What one sample costs to write and to read, by encoding and by shape of series.
#include <benchmark/benchmark.h>

#include <cmath>
#include <limits>
#include <random>

#include "tsdb/chunks/chunk.h"
#include "tsdb/chunks/histogram_chunk.h"
#include "tsdb/chunks/sample_reader.h"
#include "tsdb/chunks/xor.h"
#include "tsdb/chunks/xor2.h"
#include "tsdb/chunks/xor_pair.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime = {std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max()};
constexpr size_t kSamples = 120;

enum Shape : int64_t { kConstant, kCounter, kGauge, kAlignedCounter, kAlignedNoise };

struct Series {
  std::vector<int64_t> t;
  std::vector<double> v;
};

// A scrape every 15 s, of which every fourth is a few milliseconds off unless aligned.
Series Make(int64_t shape, uint64_t seed = 42) {
  std::mt19937_64 random(seed);
  Series series;
  double v = 1000;
  for (size_t i = 0; i < kSamples; ++i) {
    const int64_t jitter =
        i % 4 == 3 && shape < kAlignedCounter ? static_cast<int64_t>(random() % 9) - 4 : 0;
    series.t.push_back(1'767'225'600'000 + static_cast<int64_t>(i) * 15'000 + jitter);
    if (shape == kCounter) v += static_cast<double>(random() % 50);
    if (shape == kGauge) v = 0.5 + std::sin(static_cast<double>(i)) * 1e-3;
    if (shape == kAlignedCounter) v += static_cast<double>(random() % 20) / 2;
    if (shape == kAlignedNoise) v = 100 + static_cast<double>(random() % 1'000'003) * 1e-5;
    series.v.push_back(v);
  }
  return series;
}

std::string Encode(ChunkEncoding encoding, const Series& series) {
  FloatChunkEncoder encoder(encoding);
  for (size_t i = 0; i < kSamples; ++i) encoder.Append(0, series.t[i], series.v[i]);
  return encoder.Bytes();
}

// Question: what does a query pay for a sample of a float chunk?
template <ChunkEncoding kEncoding>
void BM_Decode(benchmark::State& state) {
  // Many chunks in turn: of a single one the processor would learn every branch by heart.
  constexpr size_t kChunks = 512;
  std::vector<std::string> chunks;
  for (size_t i = 0; i < kChunks; ++i) {
    chunks.push_back(Encode(kEncoding, Make(state.range(0), i)) + std::string(8, '\0'));
  }
  storage::SampleColumns columns;
  size_t next = 0;
  for (auto _ : state) {
    const std::string& bytes = chunks[next++ % kChunks];
    const std::string_view chunk = std::string_view(bytes).substr(0, bytes.size() - 8);
    columns.Clear();
    if (!DecodeChunk(kEncoding, chunk, kAllTime, {}, &columns).ok()) state.SkipWithError("decode");
    benchmark::DoNotOptimize(columns.values.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSamples));
  state.counters["bytes_per_sample"] = static_cast<double>(chunks.front().size() - 8) / kSamples;
}
BENCHMARK(BM_Decode<ChunkEncoding::kXor>)->DenseRange(kConstant, kAlignedNoise);
BENCHMARK(BM_Decode<ChunkEncoding::kXor2>)->DenseRange(kConstant, kAlignedNoise);

// Question: what does a sample cost when two chunks are decoded at once?
void BM_DecodePair(benchmark::State& state) {
  constexpr size_t kChunks = 512;
  std::vector<std::string> chunks;
  for (size_t i = 0; i < kChunks; ++i) {
    chunks.push_back(Encode(ChunkEncoding::kXor, Make(state.range(0), i)));
  }
  std::vector<int64_t> timestamps(2 * kSamples);
  std::vector<double> values(2 * kSamples);
  size_t next = 0;
  for (auto _ : state) {
    const XorTask a = {chunks[next % kChunks], kSamples, timestamps.data(), values.data()};
    const XorTask b = {chunks[(next + 1) % kChunks], kSamples, timestamps.data() + kSamples,
                       values.data() + kSamples};
    next += 2;
    if (!DecodeXorPair(a, b)) state.SkipWithError("decode");
    benchmark::DoNotOptimize(values.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(2 * kSamples));
}
BENCHMARK(BM_DecodePair)->DenseRange(kConstant, kAlignedNoise);

// Baseline: the same bits, one at a time, as a first version of a decoder would read them.
void BM_DecodeXorBitByBit(benchmark::State& state) {
  const std::string bytes = Encode(ChunkEncoding::kXor, Make(state.range(0)));
  for (auto _ : state) {
    size_t position = 16;
    const auto bits = [&](unsigned count) {
      uint64_t v = 0;
      for (; count > 0; --count, ++position) {
        v = v << 1 | (static_cast<uint8_t>(bytes[position / 8]) >> (7 - position % 8) & 1);
      }
      return v;
    };
    const auto uvarint = [&] {
      uint64_t v = 0;
      for (unsigned shift = 0;; shift += 7) {
        const uint64_t byte = bits(8);
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) return v;
      }
    };
    auto t = static_cast<uint64_t>(ZigZagDecode(uvarint()));
    uint64_t value = bits(64);
    uint64_t delta = 0;
    unsigned leading = 0;
    unsigned trailing = 0;
    for (size_t i = 1; i < kSamples; ++i) {
      if (i == 1) {
        delta = uvarint();
      } else {
        unsigned ones = 0;
        while (ones < 4 && bits(1) == 1) ++ones;
        constexpr unsigned kWidths[] = {0, 14, 17, 20, 64};
        if (ones == 4) {
          delta += bits(64);
        } else if (ones > 0) {
          delta += static_cast<uint64_t>(SignExtendAsymmetric(bits(kWidths[ones]), kWidths[ones]));
        }
      }
      t += delta;
      if (bits(1) == 1) {
        if (bits(1) == 1) {
          leading = static_cast<unsigned>(bits(5));
          const auto significant = static_cast<unsigned>(bits(6));
          trailing = 64 - leading - (significant == 0 ? 64 : significant);
        }
        value ^= bits(64 - leading - trailing) << trailing;
      }
      benchmark::DoNotOptimize(t);
      benchmark::DoNotOptimize(value);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSamples));
}
BENCHMARK(BM_DecodeXorBitByBit)->Arg(kConstant)->Arg(kCounter)->Arg(kGauge);

// Question: what does the head pay for the encoding of one sample?
void BM_XorAppend(benchmark::State& state) {
  const Series series = Make(state.range(0));
  std::vector<uint8_t> buffer(4096);
  for (auto _ : state) {
    XorState xor_state;
    for (size_t i = 0; i < kSamples; ++i) {
      XorAppend(xor_state, buffer.data(), series.t[i], series.v[i]);
    }
    benchmark::DoNotOptimize(xor_state);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSamples));
}
BENCHMARK(BM_XorAppend)->Arg(kConstant)->Arg(kCounter)->Arg(kGauge);

void BM_Xor2Append(benchmark::State& state) {
  const Series series = Make(state.range(0));
  std::vector<uint8_t> buffer(4096);
  for (auto _ : state) {
    Xor2State xor_state;
    for (size_t i = 0; i < kSamples; ++i) {
      Xor2Append(xor_state, buffer.data(), 0, series.t[i], series.v[i]);
    }
    benchmark::DoNotOptimize(xor_state);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSamples));
}
BENCHMARK(BM_Xor2Append)->Arg(kConstant)->Arg(kCounter)->Arg(kGauge);

// Question: the same for native histograms of twenty buckets.
void BM_DecodeHistogram(benchmark::State& state) {
  IntHistogramAppender appender(ChunkEncoding::kHistogram);
  Histogram h;
  h.schema = 3;
  h.positive_spans = {{0, 10}, {3, 10}};
  h.positive_buckets.assign(20, 1);
  for (int i = 0; i < 50; ++i) {
    h.count += 20;
    h.sum += 1.5;
    h.positive_buckets[0] += 1;
    if (!appender.Append(nullptr, 0, int64_t{15'000} * i, h).ok()) state.SkipWithError("append");
  }
  storage::SampleColumns columns;
  for (auto _ : state) {
    columns.Clear();
    if (!DecodeChunk(ChunkEncoding::kHistogram, appender.bytes(), kAllTime,
                     {.histogram_stats = state.range(0) == 1}, &columns)
             .ok()) {
      state.SkipWithError("decode");
    }
  }
  state.SetItemsProcessed(state.iterations() * 50);
}
BENCHMARK(BM_DecodeHistogram)->ArgName("stats")->Arg(0)->Arg(1);

}  // namespace
}  // namespace narthex::tsdb
