#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>

#include "tsdb/block/block_querier.h"
#include "tsdb/chunks/conformance_for_test.h"
#include "tsdb/compact/compactor.h"
#include "tsdb/compact/merge.h"
#include "tsdb/compact/planner.h"

namespace narthex::tsdb {
namespace {

FileSystem& Disk() {
  return FileSystem::Posix();
}

constexpr int64_t kHour = 3'600'000;
constexpr TimeRange kAllTime = {std::numeric_limits<int64_t>::min(),
                                std::numeric_limits<int64_t>::max()};

using Samples = std::map<int64_t, double>;
using Data = std::map<Labels, Samples>;

EncodedChunk FloatChunk(const std::vector<std::pair<int64_t, double>>& samples,
                        ChunkEncoding encoding = ChunkEncoding::kXor) {
  FloatChunkEncoder encoder(encoding);
  for (const auto& [t, v] : samples) encoder.Append(0, t, v);
  return {samples.front().first, samples.back().first, encoding, encoder.Bytes()};
}

// Chunks of at most ten samples.
std::unique_ptr<BlockSource> SourceOf(const Data& data) {
  std::vector<MemorySeries> series;
  for (const auto& [labels, samples] : data) {
    MemorySeries entry{labels, {}};
    std::vector<std::pair<int64_t, double>> run;
    for (const auto& sample : samples) {
      run.push_back(sample);
      if (run.size() == 10) {
        entry.chunks.push_back(FloatChunk(run));
        run.clear();
      }
    }
    if (!run.empty()) entry.chunks.push_back(FloatChunk(run));
    series.push_back(std::move(entry));
  }
  return NewMemorySource(std::move(series));
}

std::shared_ptr<Block> MakeBlock(const std::string& folder, const Data& data, int64_t min_ms,
                                 int64_t max_ms) {
  const auto source = SourceOf(data);
  BlockSource* const sources[] = {source.get()};
  BlockMeta meta = NewHeadBlockMeta(min_ms, max_ms, 1000);
  const Status status = WriteBlock(Disk(), folder, sources, {}, &meta);
  EXPECT_TRUE(status.ok()) << status.message();
  auto block = Block::Open(Disk(), JoinPath(folder, meta.ulid.ToString()));
  EXPECT_TRUE(block.ok()) << block.status().message();
  EXPECT_EQ((*block)->meta(), meta);
  return *block;
}

Data ReadBack(const std::shared_ptr<Block>& block, TimeRange range = kAllTime,
              std::vector<Matcher> matchers = {}) {
  const auto querier = NewBlockQuerier(block, range);
  storage::SelectHints hints;
  hints.start_ms = range.start_ms;
  hints.end_ms = range.end_ms;
  auto set = querier->Select(storage::SeriesOrder::kSorted, hints, matchers);
  EXPECT_TRUE(set.ok()) << set.status().message();
  Data data;
  while (const auto series = (*set)->Next()) {
    storage::SampleColumns columns;
    const Status status = series->Read(&columns);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(std::ranges::is_sorted(columns.timestamps_ms));
    Samples& samples = data[series->labels()];
    for (size_t i = 0; i < columns.size(); ++i) {
      samples[columns.timestamps_ms[i]] = columns.values[i];
    }
    EXPECT_EQ(samples.size(), columns.size());
  }
  EXPECT_TRUE((*set)->status().ok());
  return data;
}

TEST(WriteBlock, GoldenBytes) {
  const TemporaryDirectory folder;
  std::vector<MemorySeries> series = {
      {Labels{{"__name__", "up"}, {"job", "x"}}, {FloatChunk({{1000, 1}, {16000, 3}})}},
      {Labels{{"__name__", "up"}, {"job", "y"}}, {FloatChunk({{1000, 2}})}}};
  const auto source = NewMemorySource(std::move(series));
  BlockSource* const sources[] = {source.get()};
  BlockMeta meta = NewHeadBlockMeta(0, 7'200'000, 1000);
  ASSERT_TRUE(WriteBlock(Disk(), folder.path(), sources, {}, &meta).ok());
  const std::string path = JoinPath(folder.path(), meta.ulid.ToString());
  EXPECT_EQ(
      EncodeHex(Disk().ReadAll(path + "/index").value()),
      "baaad70002000000190000000600085f5f6e616d655f5f036a6f6202757001780179027ffb0300000000000000"
      "0000000b020103020401d00f987508196648630a020103020501d00f0020964bb934000000000c00000002000000"
      "0300000004495848d70000000c000000020000000300000004495848d7000000080000000100000003a7692ed200"
      "000008000000010000000473a34a3900000027000000040200005002085f5f6e616d655f5f0275706402036a6f62"
      "01787802036a6f6201798801c375efb300000000000000050000000000000026000000000000004f000000000000"
      "0098000000000000004f000000000000009807fb33ea");
  EXPECT_EQ(
      EncodeHex(Disk().ReadAll(path + "/chunks/000001").value()),
      "85bd40dd0100000012010002d00f3ff00000000000009875c267ff805a7fcf4a0c010001d00f40000000000000"
      "00b44e9555");
  EXPECT_EQ(EncodeHex(Disk().ReadAll(path + "/tombstones").value()), "0130ba300100000000");
  EXPECT_EQ(meta.stats, (BlockStats{3, 3, 0, 2, 2, 0}));
  EXPECT_EQ(Disk().ReadAll(path + "/meta.json").value(), FormatBlockMeta(meta));
}

TEST(WriteBlock, NothingLeavesNothing) {
  const TemporaryDirectory folder;
  const auto source = SourceOf({{Labels{{"a", "b"}}, {{5 * kHour, 1}}}});
  BlockSource* const sources[] = {source.get()};
  BlockMeta meta = NewHeadBlockMeta(0, 2 * kHour, 1000);
  ASSERT_TRUE(WriteBlock(Disk(), folder.path(), sources, {}, &meta).ok());
  EXPECT_EQ(meta.stats.samples, 0u);
  EXPECT_TRUE(Disk().List(folder.path())->empty());

  std::stop_source stop;
  stop.request_stop();
  meta = NewHeadBlockMeta(0, 9 * kHour, 1000);
  EXPECT_EQ(WriteBlock(Disk(), folder.path(), sources, {.stop = stop.get_token()}, &meta).code(),
            ErrorCode::kCanceled);
  EXPECT_TRUE(Disk().List(folder.path())->empty());
}

Data RandomData(std::mt19937_64& random, int64_t start, int64_t end) {
  Data data;
  for (uint64_t s = 0; s < 20; ++s) {
    if (random() % 4 == 0) continue;
    Samples& samples = data[Labels{{"__name__", "m"}, {"s", std::to_string(s)}}];
    for (int64_t t = start; t < end; t += 60'000 * static_cast<int64_t>(1 + random() % 5)) {
      // The value follows from series and time, so that blocks agree where they overlap.
      samples[t] = static_cast<double>(s * 1000 + static_cast<uint64_t>(t / 60'000));
    }
    if (samples.empty()) data.erase(Labels{{"__name__", "m"}, {"s", std::to_string(s)}});
  }
  return data;
}

void MergeInto(Data* all, const Data& more) {
  for (const auto& [labels, samples] : more) (*all)[labels].insert(samples.begin(), samples.end());
}

TEST(Compactor, MergesBlocksThatFollowAndThatOverlap) {
  std::mt19937_64 random(21);
  for (int round = 0; round < 12; ++round) {
    const TemporaryDirectory folder;
    std::vector<std::shared_ptr<Block>> blocks;
    Data all;
    const bool overlap = round % 2 == 1;
    for (int64_t i = 0; i < 3; ++i) {
      const int64_t start = overlap ? i * kHour : i * 2 * kHour;
      const Data data = RandomData(random, start, start + 2 * kHour);
      MergeInto(&all, data);
      blocks.push_back(MakeBlock(folder.path(), data, start, start + 2 * kHour));
    }
    Compactor compactor(Disk(), Clock::System(), folder.path());
    const auto ulid = compactor.Compact(blocks, {});
    ASSERT_TRUE(ulid.ok()) << ulid.status().message();
    ASSERT_TRUE(ulid->has_value());
    const auto merged = Block::Open(Disk(), JoinPath(folder.path(), (*ulid)->ToString()));
    ASSERT_TRUE(merged.ok());
    EXPECT_EQ(ReadBack(*merged), all);
    const BlockMeta meta = (*merged)->meta();
    EXPECT_EQ(meta.min_ms, 0);
    EXPECT_EQ(meta.max_ms, blocks[2]->max_ms());
    EXPECT_EQ(meta.compaction.level, 2);
    EXPECT_EQ(meta.compaction.sources.size(), 3u);
    EXPECT_TRUE(std::ranges::is_sorted(meta.compaction.sources));
    EXPECT_EQ(meta.compaction.parents[1].ulid, blocks[1]->ulid());
    uint64_t samples = 0;
    for (const auto& [labels, values] : all) samples += values.size();
    EXPECT_EQ(meta.stats.samples, samples);
    EXPECT_EQ(meta.stats.float_samples, samples);
    if (!overlap) {
      uint64_t chunks = 0;
      for (const auto& block : blocks) chunks += block->meta().stats.chunks;
      EXPECT_EQ(meta.stats.chunks, chunks);
    }
  }
}

TEST(Compactor, DeletesAndCleans) {
  const TemporaryDirectory folder;
  std::mt19937_64 random(4);
  Data data = RandomData(random, 0, 2 * kHour);
  const auto block = MakeBlock(folder.path(), data, 0, 2 * kHour);
  const std::vector<Matcher> matchers = {Matcher::Create(MatchType::kRegexp, "s", "1.*").value()};
  ASSERT_TRUE(block->Delete({kHour, 10 * kHour}, matchers).ok());
  for (auto& [labels, samples] : data) {
    if (labels.Get("s").starts_with("1")) samples.erase(samples.lower_bound(kHour), samples.end());
  }
  EXPECT_EQ(ReadBack(block), data);
  EXPECT_EQ(block->meta().stats.tombstones, block->tombstones()->count());
  // Deletions survive a reopen.
  const auto again = Block::Open(Disk(), block->directory());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(ReadBack(*again), data);

  Compactor compactor(Disk(), Clock::System(), folder.path());
  bool is_empty = false;
  auto cleaned = compactor.CleanTombstones(*again, {}, &is_empty);
  ASSERT_TRUE(cleaned.ok()) << cleaned.status().message();
  ASSERT_TRUE(cleaned->has_value());
  const auto fresh = Block::Open(Disk(), JoinPath(folder.path(), (*cleaned)->ToString()));
  ASSERT_TRUE(fresh.ok());
  EXPECT_EQ(ReadBack(*fresh), data);
  EXPECT_EQ((*fresh)->meta().stats.tombstones, 0u);
  EXPECT_EQ((*fresh)->meta().compaction.parents[0].ulid, block->ulid());
  EXPECT_FALSE(compactor.CleanTombstones(*fresh, {}, &is_empty)->has_value());
  EXPECT_FALSE(is_empty);

  ASSERT_TRUE((*fresh)->Delete(kAllTime, {}).ok());
  EXPECT_TRUE(ReadBack(*fresh).empty());
  EXPECT_FALSE(compactor.CleanTombstones(*fresh, {}, &is_empty)->has_value());
  EXPECT_TRUE(is_empty);
  const std::shared_ptr<Block> only[] = {*fresh};
  EXPECT_FALSE(compactor.Compact(only, {})->has_value());
  EXPECT_TRUE((*fresh)->meta().compaction.deletable);
}

TEST(BlockQuerier, RangesLabelsAndLimits) {
  const TemporaryDirectory folder;
  const Data data = {{Labels{{"__name__", "a"}, {"x", "1"}}, {{0, 1}, {1000, 2}, {2000, 3}}},
                     {Labels{{"__name__", "a"}, {"x", "2"}}, {{5000, 1}}},
                     {Labels{{"__name__", "b"}, {"y", "1"}}, {{1500, 7}}}};
  const auto block = MakeBlock(folder.path(), data, 0, 2 * kHour);
  EXPECT_EQ(ReadBack(block, {1000, 2000}),
            (Data{{Labels{{"__name__", "a"}, {"x", "1"}}, {{1000, 2}, {2000, 3}}},
                  {Labels{{"__name__", "b"}, {"y", "1"}}, {{1500, 7}}}}));
  const auto querier = NewBlockQuerier(block, kAllTime);
  using Names = std::vector<std::string>;
  const std::vector<Matcher> named_a = {Matcher::Equal("__name__", "a")};
  EXPECT_EQ(querier->LabelValues("x", {}, {}).value(), (Names{"1", "2"}));
  EXPECT_EQ(querier->LabelValues("x", {.limit = 1}, {}).value(), (Names{"1"}));
  EXPECT_EQ(querier->LabelValues("__name__", {}, named_a).value(), (Names{"a"}));
  EXPECT_EQ(querier->LabelValues("y", {}, named_a).value(), (Names{}));
  EXPECT_EQ(querier->LabelNames({}, {}).value(), (Names{"__name__", "x", "y"}));
  EXPECT_EQ(querier->LabelNames({}, named_a).value(), (Names{"__name__", "x"}));
  EXPECT_EQ(querier->LabelNames({.limit = 2}, {}).value(), (Names{"__name__", "x"}));
}

TEST(Merge, KindsStartTimestampsAndCopies) {
  const EncodedChunk a = FloatChunk({{0, 1}, {10, 2}, {20, 3}});
  const EncodedChunk b = FloatChunk({{10, 2}, {15, 9}});
  FloatChunkEncoder started(ChunkEncoding::kXor2);
  started.Append(5, 17, 4);
  const EncodedChunk c{17, 17, ChunkEncoding::kXor2, started.Bytes()};
  IntHistogramAppender histograms(ChunkEncoding::kHistogram);
  Histogram h;
  h.count = 1;
  h.sum = 1;
  h.zero_count = 1;
  ASSERT_TRUE(histograms.Append(nullptr, 0, 18, h).ok());
  const EncodedChunk d{18, 18, ChunkEncoding::kHistogram, std::string(histograms.bytes())};
  const auto view = [](const EncodedChunk& chunk) {
    return SourceChunk{chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes};
  };
  ChunkMerger merger(ChunkEncoding::kXor);
  // A copy is dropped without being written anew.
  auto merged = merger.Merge({view(a), view(a)});
  ASSERT_EQ(merged->size(), 1u);
  EXPECT_EQ((*merged)[0].bytes, a.bytes);

  merged = merger.Merge({view(c), view(d), view(b), view(a)});
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  std::vector<std::tuple<int64_t, int64_t, ChunkEncoding>> shape;
  for (const SourceChunk& chunk : *merged) {
    shape.emplace_back(chunk.min_ms, chunk.max_ms, chunk.encoding);
  }
  EXPECT_EQ(shape, (std::vector<std::tuple<int64_t, int64_t, ChunkEncoding>>{
                       {0, 15, ChunkEncoding::kXor},
                       {17, 17, ChunkEncoding::kXor2},
                       {18, 18, ChunkEncoding::kHistogram},
                       {20, 20, ChunkEncoding::kXor}}));

  std::vector<std::pair<int64_t, double>> many;
  for (int64_t i = 0; i < 300; ++i) many.emplace_back(i, 1);
  merged = merger.Merge({view(FloatChunk(many)), view(b)});
  std::vector<uint32_t> counts;
  for (const SourceChunk& chunk : *merged) {
    counts.push_back(ChunkSampleCount(chunk.encoding, chunk.bytes));
  }
  EXPECT_EQ(counts, (std::vector<uint32_t>{120, 120, 60}));
}

BlockMeta Planned(int64_t min_h, int64_t max_h, uint64_t series = 0, uint64_t tombstones = 0,
                  bool failed = false, std::string_view hint = {}) {
  BlockMeta meta;
  meta.ulid = Ulid::Generate(0);
  meta.min_ms = min_h * kHour;
  meta.max_ms = max_h * kHour;
  meta.stats.series = series;
  meta.stats.tombstones = tombstones;
  meta.compaction.failed = failed;
  if (!hint.empty()) meta.compaction.AddHint(hint);
  return meta;
}

TEST(Planner, PicksTheGroupUpstreamPicks) {
  struct Case {
    const char* name;
    std::vector<BlockMeta> blocks;
    std::vector<size_t> want;
  };
  const std::string_view stale = kHintFromStaleSeries;
  for (const Case& c : {
           Case{"one", {Planned(0, 2)}, {}},
           Case{"newest stays out", {Planned(0, 2), Planned(2, 4), Planned(4, 6)}, {}},
           Case{"complete range",
                {Planned(0, 2), Planned(2, 4), Planned(4, 6), Planned(6, 8)},
                {0, 1, 2}},
           Case{"gap before newer", {Planned(0, 2), Planned(4, 6), Planned(6, 8)}, {0, 1}},
           Case{"gap in an older range",
                {Planned(0, 2), Planned(2, 4), Planned(6, 8), Planned(8, 10)},
                {0, 1}},
           Case{"unordered input",
                {Planned(6, 8), Planned(4, 6), Planned(0, 2), Planned(2, 4)},
                {2, 3, 1}},
           Case{"failed group is skipped",
                {Planned(0, 2, 0, 0, true), Planned(2, 4), Planned(4, 6), Planned(6, 8)},
                {}},
           Case{"larger ranges",
                {Planned(0, 6), Planned(6, 12), Planned(12, 18), Planned(18, 20)},
                {0, 1, 2}},
           Case{"overlap first",
                {Planned(0, 2), Planned(1, 3), Planned(4, 6), Planned(5, 7)},
                {0, 1}},
           Case{"overlap by the running end",
                {Planned(0, 10), Planned(2, 4), Planned(6, 8), Planned(10, 12)},
                {0, 1, 2}},
           Case{"many tombstones", {Planned(0, 54, 100, 6), Planned(54, 56)}, {0}},
           Case{"few tombstones", {Planned(0, 54, 100, 5), Planned(54, 56)}, {}},
           Case{"short but all deleted", {Planned(0, 2, 3, 3), Planned(2, 4)}, {0}},
           Case{"classes do not mix",
                {Planned(0, 2), Planned(0, 2, 0, 0, false, stale), Planned(2, 4)},
                {}},
           Case{"stale overlap stale",
                {Planned(0, 2, 0, 0, false, stale), Planned(0, 2, 0, 0, false, stale)},
                {0, 1}},
       }) {
    SCOPED_TRACE(c.name);
    const PlanOptions options = {CompactionRanges(2 * kHour, 31 * 24 * kHour), true, nullptr};
    std::vector<Ulid> want;
    for (const size_t i : c.want) want.push_back(c.blocks[i].ulid);
    EXPECT_EQ(PlanCompaction(c.blocks, options), want);
  }
  EXPECT_EQ(CompactionRanges(2, 500), (std::vector<int64_t>{2, 6, 18, 54, 162, 486}));
  EXPECT_EQ(CompactionRanges(2, 1), (std::vector<int64_t>{2}));
}

TEST(Planner, StopsAtWhatIsNotUploaded) {
  std::vector<BlockMeta> blocks = {Planned(0, 2), Planned(2, 4), Planned(4, 6), Planned(6, 8)};
  for (size_t i = 0; i < blocks.size(); ++i) {
    blocks[i].ulid = Ulid::Generate(static_cast<int64_t>(i));
  }
  PlanOptions options;
  options.ranges_ms = CompactionRanges(2 * kHour, 500 * kHour);
  EXPECT_EQ(PlanCompaction(blocks, options).size(), 3u);
  for (size_t first = 0; first < 4; ++first) {
    options.exclude = [&](const BlockMeta& block) { return block.ulid == blocks[first].ulid; };
    EXPECT_TRUE(PlanCompaction(blocks, options).empty()) << first;
  }
}

TEST(Planner, HintsOfTheResult) {
  const std::vector<BlockMeta> mixed = {Planned(0, 2, 0, 0, false, kHintFromOutOfOrder),
                                        Planned(0, 2)};
  EXPECT_TRUE(CompactedMeta(mixed, 0).compaction.hints.empty());
  const std::vector<BlockMeta> all = {Planned(0, 2, 0, 0, false, kHintFromOutOfOrder),
                                      Planned(0, 2, 0, 0, false, kHintFromOutOfOrder)};
  EXPECT_TRUE(CompactedMeta(all, 0).compaction.HasHint(kHintFromOutOfOrder));
}

}  // namespace
}  // namespace narthex::tsdb
