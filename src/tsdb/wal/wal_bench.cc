// What a replayed sample costs, and a logged one.
#include <benchmark/benchmark.h>

#include <random>

#include "tsdb/wal/records.h"
#include "tsdb/wal/sample_compress.h"
#include "tsdb/wal/wal.h"
#include "util/compress.h"

namespace narthex::tsdb {
namespace {

// One scrape: samples of one time, references close to one another.
std::vector<WalSample> Scrape(size_t count) {
  std::mt19937_64 random(42);
  std::vector<WalSample> samples;
  uint64_t ref = 100'000;
  for (size_t i = 0; i < count; ++i) {
    ref += 1 + random() % 3;
    samples.push_back({ref, 1'767'225'600'000, 0, static_cast<double>(random() % 100'000)});
  }
  return samples;
}

// Question: how fast do the samples of a record reach the vectors of a replay?
void BM_DecodeSamples(benchmark::State& state) {
  std::string record;
  EncodeSamples(Scrape(1000), state.range(0) == 1 ? SampleFormat::kV1 : SampleFormat::kV2, &record);
  std::vector<WalSample> samples;
  for (auto _ : state) {
    samples.clear();
    if (!DecodeSamples(record, &samples).ok()) state.SkipWithError("decode");
    benchmark::DoNotOptimize(samples.data());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(record.size()));
}
BENCHMARK(BM_DecodeSamples)->ArgName("version")->Arg(1)->Arg(2);

void BM_EncodeSamples(benchmark::State& state) {
  const std::vector<WalSample> samples = Scrape(1000);
  std::string record;
  for (auto _ : state) {
    record.clear();
    EncodeSamples(samples, SampleFormat::kV1, &record);
    benchmark::DoNotOptimize(record.data());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(BM_EncodeSamples);

// Question: what does compressing a record cost, by the general compressor (0) and ours (1)?
void BM_CompressSamples(benchmark::State& state) {
  std::string record;
  EncodeSamples(Scrape(1000), SampleFormat::kV1, &record);
  std::string packed;
  for (auto _ : state) {
    if (state.range(0) == 0) {
      packed = SnappyCompress(record);
    } else {
      SnappyCompressSamples(record, &packed);
    }
    benchmark::DoNotOptimize(packed.data());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  state.counters["ratio"] = static_cast<double>(packed.size()) / static_cast<double>(record.size());
}
BENCHMARK(BM_CompressSamples)->Arg(0)->Arg(1);

// Question: what does reading a log give, all in: map, checksum, decompress, decode?
void BM_Replay(benchmark::State& state) {
  const TemporaryDirectory folder;
  FileSystem& files = FileSystem::Posix();
  constexpr int64_t kRecords = 2000;
  {
    auto wal = Wal::Open(files, folder.path(),
                         {.compression = static_cast<WalCompression>(state.range(0))});
    std::string record;
    EncodeSamples(Scrape(1000), SampleFormat::kV1, &record);
    for (int64_t i = 0; i < kRecords; ++i) {
      if (!(*wal)->Log(record).ok()) state.SkipWithError("log");
    }
  }
  std::vector<WalSample> samples;
  for (auto _ : state) {
    auto reader = OpenWalReader(files, folder.path());
    while (reader->Next()) {
      samples.clear();
      if (!DecodeSamples(reader->record(), &samples).ok()) state.SkipWithError("decode");
    }
  }
  state.SetItemsProcessed(state.iterations() * kRecords * 1000);
}
BENCHMARK(BM_Replay)->ArgName("compression")->Arg(0)->Arg(1)->Arg(2);

}  // namespace
}  // namespace narthex::tsdb
