// Question: what does it cost to merge three neighbouring blocks into one, as compaction does with
// most of the data it ever touches? Chunks that overlap nothing are copied; the index is made anew.
//
// NARTHEX_BENCH_BLOCKS names a data directory whose blocks are merged instead of generated ones, so
// that other programs can be measured on the same.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tsdb/chunks/sample_reader.h"
#include "tsdb/compact/compactor.h"
#include "util/check.h"

namespace narthex::tsdb {
namespace {

constexpr int64_t kRangeMs = 7'200'000;

// 20,000 series with two chunks a block.
void WriteBlocks(const std::string& directory) {
  for (int64_t block = 0; block < 3; ++block) {
    std::vector<MemorySeries> all;
    for (int n = 100'000; n < 120'000; ++n) {
      MemorySeries& series = all.emplace_back();
      series.labels = Labels{{"__name__", "m" + std::to_string(n / 1000)},
                             {"instance", "host-" + std::to_string(n)},
                             {"job", "node"}};
      for (int64_t half = 0; half < 2; ++half) {
        FloatChunkEncoder encoder(ChunkEncoding::kXor);
        const int64_t start = block * kRangeMs + half * kRangeMs / 2;
        for (int64_t i = 0; i < 120; ++i) {
          encoder.Append(0, start + i * 30'000, static_cast<double>(n + i * i % 17));
        }
        series.chunks.push_back(
            {start, start + 119 * 30'000, ChunkEncoding::kXor, encoder.Bytes()});
      }
    }
    const std::unique_ptr<BlockSource> source = NewMemorySource(std::move(all));
    BlockSource* const sources[] = {source.get()};
    BlockMeta meta = NewHeadBlockMeta(block * kRangeMs, (block + 1) * kRangeMs, block);
    NARTHEX_CHECK(WriteBlock(FileSystem::Posix(), directory, sources, {}, &meta).ok());
  }
}

void BM_MergeBlocks(benchmark::State& state) {
  FileSystem& files = FileSystem::Posix();
  const TemporaryDirectory generated;
  std::string directory = generated.path();
  if (const char* set = std::getenv("NARTHEX_BENCH_BLOCKS")) {
    directory = set;
  } else {
    WriteBlocks(directory);
  }
  std::vector<std::shared_ptr<Block>> blocks;
  uint64_t samples = 0;
  const std::vector<FileInfo> entries = *files.List(directory);
  for (const FileInfo& entry : entries) {
    if (!Ulid::Parse(entry.name).has_value()) continue;
    blocks.push_back(*Block::Open(files, JoinPath(directory, entry.name)));
    samples += blocks.back()->meta().stats.samples;
  }
  for (auto _ : state) {
    const TemporaryDirectory target;
    Compactor compactor(files, Clock::System(), target.path());
    const auto made = compactor.Compact(blocks, {});
    NARTHEX_CHECK(made.ok() && made->has_value());
    state.PauseTiming();
    const auto merged = Block::Open(files, JoinPath(target.path(), (*made)->ToString()));
    state.counters["bytes_per_sample"] =
        static_cast<double>((*merged)->size_bytes()) / static_cast<double>(samples);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(samples) * state.iterations());
}
BENCHMARK(BM_MergeBlocks)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace narthex::tsdb
