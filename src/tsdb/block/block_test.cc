#include "tsdb/block/block.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>

#include "tsdb/chunks/conformance_for_test.h"

namespace narthex::tsdb {
namespace {

FileSystem& Disk() {
  return FileSystem::Posix();
}

TEST(Ulid, ParsesStrictlyAndPrints) {
  const char* text = "01BZJ9WJQPWHGNC2W4J9TA62KC";
  ASSERT_TRUE(Ulid::Parse(text).has_value());
  EXPECT_EQ(Ulid::Parse(text)->ToString(), text);
  EXPECT_EQ(Ulid().ToString(), "00000000000000000000000000");
  EXPECT_TRUE(Ulid::Parse("7ZZZZZZZZZZZZZZZZZZZZZZZZZ").has_value());
  for (const char* bad :
       {"", "01BZJ9WJQPWHGNC2W4J9TA62K", "01BZJ9WJQPWHGNC2W4J9TA62KCC",
        "81BZJ9WJQPWHGNC2W4J9TA62KC", "01BZJ9WJQPWHGNC2W4J9TA62KU", "01BZJ9WJQPWHGNC2W4J9TA62K-"}) {
    EXPECT_FALSE(Ulid::Parse(bad).has_value()) << bad;
  }
  const Ulid a = Ulid::Generate(1'700'000'000'123);
  const Ulid b = Ulid::Generate(1'700'000'000'123);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.time_ms(), 1'700'000'000'123);
  EXPECT_EQ(Ulid::Parse(a.ToString()), a);
  EXPECT_LT(a, Ulid::Generate(1'700'000'000'124));
}

TEST(BlockMeta, PrintsAsUpstreamDoes) {
  BlockMeta meta;
  meta.ulid = *Ulid::Parse("01BZJ9WJQPWHGNC2W4J9TA62KC");
  meta.max_ms = 7'200'000;
  meta.compaction.level = 1;
  meta.compaction.sources = {meta.ulid};
  EXPECT_EQ(FormatBlockMeta(meta),
            "{\n\t\"ulid\": \"01BZJ9WJQPWHGNC2W4J9TA62KC\",\n\t\"minTime\": 0,\n\t\"maxTime\": "
            "7200000,\n\t\"stats\": {},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": "
            "[\n\t\t\t\"01BZJ9WJQPWHGNC2W4J9TA62KC\"\n\t\t]\n\t},\n\t\"version\": 1\n}");
  meta.stats = {6, 4, 2, 3, 5, 1};
  meta.compaction.deletable = true;
  meta.compaction.failed = true;
  meta.compaction.parents = {{meta.ulid, -5, 7}, {}};
  meta.compaction.AddHint(kHintFromStaleSeries);
  meta.compaction.AddHint(kHintFromOutOfOrder);
  meta.compaction.AddHint(kHintFromOutOfOrder);
  const std::string text = FormatBlockMeta(meta);
  EXPECT_EQ(text,
            "{\n\t\"ulid\": \"01BZJ9WJQPWHGNC2W4J9TA62KC\",\n\t\"minTime\": 0,\n\t\"maxTime\": "
            "7200000,\n\t\"stats\": {\n\t\t\"numSamples\": 6,\n\t\t\"numFloatSamples\": "
            "4,\n\t\t\"numHistogramSamples\": 2,\n\t\t\"numSeries\": 3,\n\t\t\"numChunks\": "
            "5,\n\t\t\"numTombstones\": 1\n\t},\n\t\"compaction\": {\n\t\t\"level\": "
            "1,\n\t\t\"sources\": [\n\t\t\t\"01BZJ9WJQPWHGNC2W4J9TA62KC\"\n\t\t],\n\t\t"
            "\"deletable\": true,\n\t\t\"parents\": [\n\t\t\t{\n\t\t\t\t\"ulid\": "
            "\"01BZJ9WJQPWHGNC2W4J9TA62KC\",\n\t\t\t\t\"minTime\": -5,\n\t\t\t\t\"maxTime\": "
            "7\n\t\t\t},\n\t\t\t{\n\t\t\t\t\"ulid\": \"00000000000000000000000000\",\n\t\t\t\t"
            "\"minTime\": 0,\n\t\t\t\t\"maxTime\": 0\n\t\t\t}\n\t\t],\n\t\t\"failed\": "
            "true,\n\t\t\"hints\": [\n\t\t\t\"from-out-of-order\",\n\t\t\t\"from-stale-series\""
            "\n\t\t]\n\t},\n\t\"version\": 1\n}");
  EXPECT_EQ(ParseBlockMeta(text), Result<BlockMeta>(meta));
}

TEST(BlockMeta, RefusesWhatItCannotUnderstand) {
  struct Case {
    const char* json;
    const char* error;
  };
  for (const Case& c :
       {Case{R"({"version":2})", "unexpected meta file version 2"},
        Case{R"({})", "unexpected meta file version 0"}, Case{"[]", "meta file is not an object"},
        Case{R"({"version":1,"ulid":"x"})", "meta file has an unexpected value in ulid"},
        Case{R"({"version":1,"minTime":"x"})", "meta file has an unexpected value in minTime"},
        Case{R"({"version":1,"compaction":[]})",
             "meta file has an unexpected value in compaction"}}) {
    EXPECT_EQ(ParseBlockMeta(c.json).status().message(), c.error) << c.json;
  }
  EXPECT_FALSE(ParseBlockMeta("{").ok());
  EXPECT_TRUE(ParseBlockMeta(R"({"version":1,"thanos":{"x":[1]}})").ok());
}

TEST(TimeRanges, MergeLikeASetOfMilliseconds) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    TimeRanges ranges;
    std::vector<bool> deleted(60);
    for (uint64_t i = random() % 8; i > 0; --i) {
      const auto start = static_cast<int64_t>(random() % 50);
      const auto end = start + static_cast<int64_t>(random() % 8);
      AddTimeRange({start, end}, &ranges);
      for (int64_t t = start; t <= end; ++t) deleted[static_cast<size_t>(t)] = true;
    }
    for (size_t i = 1; i < ranges.size(); ++i) {
      EXPECT_GT(ranges[i].start_ms, ranges[i - 1].end_ms + 1);
    }
    storage::SampleColumns columns;
    columns.AddFloat(-1, 0);
    std::vector<int64_t> want = {-1};
    for (int64_t t = 0; t < 60; ++t) {
      EXPECT_EQ(ContainsTime(ranges, t), deleted[static_cast<size_t>(t)]);
      columns.AddFloat(t, static_cast<double>(t));
      if (!deleted[static_cast<size_t>(t)]) want.push_back(t);
    }
    RemoveDeleted(ranges, 1, &columns);
    EXPECT_EQ(columns.timestamps_ms, want);
  }
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  TimeRanges ranges;
  AddTimeRange({5, 6}, &ranges);
  AddTimeRange({kMin, kMax}, &ranges);
  AddTimeRange({kMax, kMax}, &ranges);
  EXPECT_EQ(ranges, (TimeRanges{{kMin, kMax}}));
}

TEST(Tombstones, GoldenBytesAndErrors) {
  Tombstones stones;
  EXPECT_EQ(EncodeHex(EncodeTombstonesFile(stones)), "0130ba300100000000");
  stones.Add(3, {-5, 1000});
  const std::string bytes = EncodeTombstonesFile(stones);
  EXPECT_EQ(EncodeHex(bytes), "0130ba30010309d00fd2579f1d");
  const auto read = DecodeTombstonesFile(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->by_ref(), stones.by_ref());
  struct Case {
    std::string bytes;
    const char* error;
  };
  for (const Case& c : {Case{"abc", "tombstones header: invalid size"},
                        Case{DecodeHex("0130ba310100000000"), "invalid magic number 130ba31"},
                        Case{DecodeHex("0130ba30010309d00fd2579f1e"), "checksum did not match"},
                        Case{DecodeHex("0130ba300200000000"), "invalid tombstone format 2"}}) {
    EXPECT_EQ(DecodeTombstonesFile(c.bytes).status().message(), c.error);
  }
  const TemporaryDirectory folder;
  EXPECT_TRUE(ReadTombstones(Disk(), folder.path())->empty());
}

TEST(Block, ReadsUpstreamsVersionOne) {
  const std::string meta = ConformancePath("tsdb/upstream/index_format_v1/meta.json");
  if (meta.empty()) GTEST_SKIP() << "no conformance data";
  const auto block = Block::Open(Disk(), DirName(meta));
  ASSERT_TRUE(block.ok()) << block.status().message();
  const auto all = (*block)->index().AllPostings();
  ASSERT_TRUE(all.ok());
  uint64_t samples = 0;
  for (size_t i = 0; i < all->size(); ++i) {
    std::vector<ChunkMeta> chunks;
    ASSERT_TRUE((*block)->index().ReadSeries((*all)[i], nullptr, &chunks).ok());
    for (const ChunkMeta& chunk : chunks) {
      const auto view = (*block)->chunks().Read(chunk.ref);
      ASSERT_TRUE(view.ok()) << view.status().message();
      samples += ChunkSampleCount(view->encoding, view->bytes);
    }
  }
  EXPECT_EQ(samples, (*block)->meta().stats.samples);
  EXPECT_EQ(all->size(), (*block)->meta().stats.series);
}

// The texts that upstream gives behind `corrupted block <ulid>: `.
TEST(Block, OpenSaysWhatIsWrong) {
  const std::string source = ConformancePath("tsdb/upstream/index_format_v1/meta.json");
  if (source.empty()) GTEST_SKIP() << "no conformance data";
  const TemporaryDirectory root;
  int number = 0;
  const auto open_with = [&](const char* name, const std::function<void(std::string&)>& damage) {
    const std::string folder = JoinPath(root.path(), std::to_string(number++));
    EXPECT_TRUE(Disk().CreateDirectories(folder + "/chunks").ok());
    for (const std::string file : {"meta.json", "index", "tombstones", "chunks/000001"}) {
      std::string bytes = Disk().ReadAll(JoinPath(DirName(source), file)).value();
      if (file == name) damage(bytes);
      if (!bytes.empty()) {
        EXPECT_TRUE(Disk().WriteAtomically(folder + "/" + file, bytes).ok());
      }
    }
    std::string text = Block::Open(Disk(), folder).status().message();
    if (const size_t at = text.find(folder); at != std::string::npos) {
      text.replace(at, folder.size(), "DIR");
    }
    return text;
  };
  const auto flip = [](size_t at) {
    return [at](std::string& bytes) { bytes[at < bytes.size() ? at : bytes.size() - 1] ^= '\xff'; };
  };
  EXPECT_EQ(open_with("none", flip(0)), "");
  EXPECT_EQ(open_with("index", flip(0)), "invalid magic number 45aad700");
  EXPECT_EQ(open_with("index", flip(14)), "read symbols: invalid checksum");
  EXPECT_EQ(open_with("index", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }),
            "read TOC: read TOC: invalid checksum");
  EXPECT_EQ(open_with("index", [](std::string& bytes) { bytes.clear(); }),
            "try lock file: open DIR/index: no such file or directory");
  EXPECT_EQ(open_with("chunks/000001", flip(0)), "invalid magic number 7abd40dd");
  EXPECT_EQ(open_with("tombstones", flip(10'000)), "checksum did not match");
  EXPECT_EQ(open_with("tombstones", [](std::string& bytes) { bytes.clear(); }), "");
}

TEST(Block, RepairsTheOldIndexVersion) {
  const std::string meta =
      ConformancePath("tsdb/upstream/repair_index_version/01BZJ9WJQPWHGNC2W4J9TA62KC/meta.json");
  if (meta.empty()) GTEST_SKIP() << "no conformance data";
  const TemporaryDirectory folder;
  for (const char* name : {"meta.json", "index"}) {
    ASSERT_TRUE(Disk()
                    .WriteAtomically(JoinPath(folder.path(), name),
                                     Disk().ReadAll(JoinPath(DirName(meta), name)).value())
                    .ok());
  }
  EXPECT_FALSE(ReadBlockMeta(Disk(), folder.path()).ok());
  const auto repaired = RepairBadIndexVersion(Disk(), folder.path());
  ASSERT_TRUE(repaired.ok()) << repaired.status().message();
  EXPECT_TRUE(*repaired);
  EXPECT_FALSE(RepairBadIndexVersion(Disk(), folder.path()).value_or(true));
  EXPECT_TRUE(ReadBlockMeta(Disk(), folder.path()).ok());
  const auto index = IndexReader::Open(Disk(), JoinPath(folder.path(), "index"));
  ASSERT_TRUE(index.ok()) << index.status().message();
  EXPECT_EQ((*index)->version(), 2);
  // The file has two series, {a="1",b="1"} and {a="2",b="1"}, and the list of b="1" alone.
  const auto list = (*index)->Postings("b", "1");
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 2u);
  std::vector<LabelView> labels;
  for (size_t i = 0; i < list->size(); ++i) {
    ASSERT_TRUE((*index)->ReadSeries((*list)[i], &labels, nullptr).ok());
    EXPECT_EQ(Labels::FromSorted(labels), (Labels{{"a", std::to_string(i + 1)}, {"b", "1"}}));
  }
}

}  // namespace
}  // namespace narthex::tsdb
