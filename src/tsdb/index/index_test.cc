#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tsdb/chunks/conformance_for_test.h"
#include "tsdb/index/index_reader.h"
#include "tsdb/index/index_writer.h"

namespace narthex::tsdb {
namespace {

FileSystem& Disk() {
  return FileSystem::Posix();
}

struct SeriesRow {
  Labels labels;
  std::vector<ChunkMeta> chunks;
};

void WriteIndex(const std::string& path, std::vector<SeriesRow> rows, bool with_empty_symbol,
                uint64_t batch = 8 << 20) {
  std::set<std::string> symbols;
  if (with_empty_symbol) symbols.insert("");
  for (const SeriesRow& row : rows) {
    for (const LabelView& label : row.labels) {
      symbols.emplace(label.name);
      symbols.emplace(label.value);
    }
  }
  std::sort(rows.begin(), rows.end(),
            [](const SeriesRow& a, const SeriesRow& b) { return a.labels < b.labels; });
  auto writer = IndexWriter::Create(Disk(), path);
  ASSERT_TRUE(writer.ok());
  (*writer)->SetPostingsBatchForTest(batch);
  for (const std::string& symbol : symbols) ASSERT_TRUE((*writer)->AddSymbol(symbol).ok());
  for (const SeriesRow& row : rows) {
    const Status status = (*writer)->AddSeries(row.labels, row.chunks);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  ASSERT_TRUE((*writer)->Finish().ok());
}

Labels LabelsAt(const IndexReader& reader, uint32_t ref) {
  std::vector<LabelView> views;
  EXPECT_TRUE(reader.ReadSeries(ref, &views, nullptr).ok());
  return Labels::FromSorted(views);
}

constexpr std::string_view kGoldenIndex =
    "baaad70002000000190000000600085f5f6e616d655f5f036a6f6202757001780179027ffb03000000000000000000"
    "00"
    "0b020103020401d00f987508196648630a020103020501d00f0020964bb934000000000c0000000200000003000000"
    "04"
    "495848d70000000c000000020000000300000004495848d7000000080000000100000003a7692ed200000008000000"
    "01"
    "0000000473a34a3900000027000000040200005002085f5f6e616d655f5f0275706402036a6f6201787802036a6f62"
    "01"
    "798801c375efb300000000000000050000000000000026000000000000004f0000000000000098000000000000004f"
    "00"
    "0000000000009807fb33ea";

TEST(Index, GoldenBytes) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/index";
  WriteIndex(path,
             {{Labels{{"__name__", "up"}, {"job", "x"}}, {{1000, 16000, 8}}},
              {Labels{{"__name__", "up"}, {"job", "y"}}, {{1000, 1000, 32}}}},
             /*with_empty_symbol=*/true);
  EXPECT_EQ(EncodeHex(Disk().ReadAll(path).value()), kGoldenIndex);
}

std::vector<SeriesRow> ManySeries(size_t count) {
  std::vector<SeriesRow> rows;
  for (size_t i = 0; i < count; ++i) {
    std::vector<std::pair<std::string, std::string>> pairs = {
        {"__name__", fmt::format("metric_{}", i % 7)},
        {"instance", fmt::format("host-{}", i)},
        {"job", i % 2 == 0 ? "a" : "b"}};
    if (i % 3 == 0) pairs.emplace_back("sometimes", fmt::format("v{}", i % 5));
    const auto t = static_cast<int64_t>(i);
    rows.push_back(
        {Labels::FromPairs(pairs),
         {{t - 100, t, i * 64 + 8}, {t + 1, t + 50, i * 64 + 30}, {t + 60, t + 60, i * 64 + 31}}});
  }
  return rows;
}

TEST(Index, RoundTripsWithAnyPostingsBatch) {
  const TemporaryDirectory folder;
  const std::vector<SeriesRow> rows = ManySeries(2000);
  const std::string path = folder.path() + "/index";
  WriteIndex(path, rows, true);
  const std::string small = folder.path() + "/small";
  WriteIndex(small, rows, true, /*batch=*/100);
  EXPECT_EQ(Disk().ReadAll(path).value(), Disk().ReadAll(small).value());

  auto opened = IndexReader::Open(Disk(), path);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const IndexReader& reader = **opened;
  EXPECT_EQ(reader.LabelNames(),
            (std::vector<std::string_view>{"__name__", "instance", "job", "sometimes"}));
  EXPECT_EQ(reader.LabelValues("job"), (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(reader.LabelValueCount("instance"), 2000u);
  std::map<Labels, std::vector<ChunkMeta>> want;
  for (const SeriesRow& row : rows) want[row.labels] = row.chunks;
  const auto all = reader.AllPostings();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), rows.size());
  auto next = want.begin();
  for (size_t i = 0; i < all->size(); ++i, ++next) {
    std::vector<LabelView> views;
    std::vector<ChunkMeta> chunks;
    ASSERT_TRUE(reader.ReadSeries((*all)[i], &views, &chunks).ok());
    EXPECT_EQ(Labels::FromSorted(views), next->first);
    EXPECT_EQ(chunks, next->second);
    // Every value is found by a look-up.
    const auto list = reader.Postings("instance", next->first.Get("instance"));
    ASSERT_EQ(list->size(), 1u);
    EXPECT_EQ((*list)[0], (*all)[i]);
    EXPECT_EQ(reader.LabelValueOf((*all)[i], "sometimes").value(), next->first.Get("sometimes"));
  }
  for (const char* missing : {"", "!", "host-", "host-1x", "zzz"}) {
    EXPECT_EQ(reader.Postings("instance", missing)->size(), 0u) << missing;
  }
  EXPECT_EQ(reader.Postings("nothing", "x")->size(), 0u);
}

TEST(Index, PostingsForMatchersEqualAFullScan) {
  const TemporaryDirectory folder;
  const std::vector<SeriesRow> rows = ManySeries(300);
  WriteIndex(folder.path() + "/index", rows, true);
  auto reader = IndexReader::Open(Disk(), folder.path() + "/index");
  ASSERT_TRUE(reader.ok());
  const auto matcher = [](MatchType type, const char* name, const char* value) {
    return Matcher::Create(type, name, value).value();
  };
  std::vector<Matcher> pool;
  for (const MatchType type : {MatchType::kEqual, MatchType::kNotEqual}) {
    for (const char* value : {"", "a", "v1", "missing", "metric_3", "host-7"}) {
      for (const char* name : {"__name__", "job", "sometimes", "instance", "absent"}) {
        pool.push_back(matcher(type, name, value));
      }
    }
  }
  for (const MatchType type : {MatchType::kRegexp, MatchType::kNotRegexp}) {
    for (const char* value : {"", ".*", ".+", "a|b", "v1|v2|", "metric_.*", "host-1.?", "(v1)?"}) {
      for (const char* name : {"__name__", "job", "sometimes", "instance", "absent"}) {
        pool.push_back(matcher(type, name, value));
      }
    }
  }
  std::mt19937_64 random(5);
  const auto all = (*reader)->AllPostings();
  for (int round = 0; round < 1500; ++round) {
    std::vector<Matcher> matchers;
    if (round < static_cast<int>(pool.size())) {
      matchers.push_back(pool[static_cast<size_t>(round)]);
    } else {
      for (uint64_t i = 1 + random() % 4; i > 0; --i) {
        matchers.push_back(pool[random() % pool.size()]);
      }
    }
    std::vector<uint32_t> want;
    for (size_t i = 0; i < all->size(); ++i) {
      const Labels labels = LabelsAt(**reader, (*all)[i]);
      bool fits = true;
      for (const Matcher& m : matchers) fits = fits && m.Matches(labels.Get(m.name()));
      if (fits) want.push_back((*all)[i]);
    }
    const auto got = PostingsForMatchers(**reader, std::span<const Matcher>(matchers));
    ASSERT_TRUE(got.ok());
    std::string text;
    for (const Matcher& m : matchers) text += m.ToString() + " ";
    EXPECT_EQ(*got, want) << text;
  }
}

TEST(Postings, SetOperationsEqualNaiveOnes) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 300; ++round) {
    const uint32_t spread = 1 + static_cast<uint32_t>(random() % 100'000);
    const auto make = [&] {
      std::set<uint32_t> set;
      for (uint64_t i = random() % 400; i > 0; --i) {
        set.insert(static_cast<uint32_t>(random() % spread));
      }
      return std::vector<uint32_t>(set.begin(), set.end());
    };
    const std::vector<std::vector<uint32_t>> lists = {make(), make(), make()};
    std::set<uint32_t> merged;
    for (const auto& list : lists) merged.insert(list.begin(), list.end());
    EXPECT_EQ(MergePostings<uint32_t>(std::span<const std::vector<uint32_t>>(lists)),
              std::vector<uint32_t>(merged.begin(), merged.end()));
    std::vector<uint32_t> both;
    std::vector<uint32_t> without;
    std::ranges::set_intersection(lists[0], lists[1], std::back_inserter(both));
    std::ranges::set_difference(lists[0], lists[1], std::back_inserter(without));
    std::vector<uint32_t> kept = lists[0];
    IntersectWith(&kept, lists[1]);
    EXPECT_EQ(kept, both);
    EXPECT_EQ(Intersects(lists[0], lists[1]), !both.empty());
    kept = lists[0];
    SubtractFrom(&kept, lists[1]);
    EXPECT_EQ(kept, without);
  }
}

TEST(Index, WriterRefusesDisorder) {
  const TemporaryDirectory folder;
  auto writer = IndexWriter::Create(Disk(), folder.path() + "/index");
  for (const char* symbol : {"a", "b", "c"}) ASSERT_TRUE((*writer)->AddSymbol(symbol).ok());
  EXPECT_FALSE((*writer)->AddSymbol("b").ok());
  const std::vector<ChunkMeta> one = {{0, 10, 8}};
  ASSERT_TRUE((*writer)->AddSeries(Labels{{"a", "b"}}, one).ok());
  EXPECT_EQ((*writer)->AddSeries(Labels{{"a", "a"}}, one).message(),
            "out-of-order series added with label set \"{a=\\\"a\\\"}\", last label set "
            "\"{a=\\\"b\\\"}\"");
  EXPECT_EQ((*writer)->AddSeries(Labels{{"b", "x"}}, one).message(),
            "symbol entry for \"x\" does not exist");
  EXPECT_EQ((*writer)
                ->AddSeries(Labels{{"b", "c"}}, std::vector<ChunkMeta>{{0, 10, 8}, {10, 20, 9}})
                .message(),
            "chunk minT 10 is not higher than previous chunk maxT 10");
  EXPECT_EQ((*writer)->AddSeries(Labels{{"b", "c"}}, std::vector<ChunkMeta>{{5, 4, 8}}).message(),
            "chunk maxT 4 is less than minT 5");
}

TEST(Index, DamageIsAnError) {
  const std::string good = DecodeHex(kGoldenIndex);
  ASSERT_TRUE(IndexReader::OpenBytes(good).ok());
  struct Case {
    size_t at;
    const char* error;
  };
  for (const Case& c :
       {Case{0, "invalid magic number 45aad700"}, Case{4, "unknown index file version 253"},
        Case{14, "read symbols: invalid checksum"},
        Case{0xa8, "read postings table: invalid checksum"},
        Case{good.size() - 20, "read TOC: read TOC: invalid checksum"}}) {
    std::string bad = good;
    bad[c.at] = static_cast<char>(~bad[c.at]);
    EXPECT_EQ(IndexReader::OpenBytes(bad).status().message(), c.error) << c.at;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(IndexReader::OpenBytes(std::string_view(good).substr(0, size)).ok()) << size;
  }
  // Damage inside series and lists shows when they are read.
  for (size_t at = 0x26; at < 0x98; ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(~bad[at]);
    auto reader = IndexReader::OpenBytes(bad);
    ASSERT_TRUE(reader.ok());
    for (const uint32_t ref : {3u, 4u, 5u, 0xffffffffu}) {
      std::vector<LabelView> labels;
      std::vector<ChunkMeta> chunks;
      (void)(*reader)->ReadSeries(ref, &labels, &chunks);
    }
    (void)(*reader)->AllPostings();
  }
}

TEST(Index, ReadsVersionOne) {
  const std::string path = ConformancePath("tsdb/upstream/index_format_v1/index");
  if (path.empty()) GTEST_SKIP() << "no conformance data";
  auto reader = IndexReader::Open(Disk(), path);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_EQ((*reader)->version(), 1);
  const auto all = (*reader)->AllPostings();
  ASSERT_TRUE(all.ok());
  // The block that upstream's own test writes and reads: 100 series {bar=N, foo=bar…}.
  EXPECT_EQ(all->size(), 102u);
  EXPECT_EQ((*reader)->LabelNames(), (std::vector<std::string_view>{"bar", "foo"}));
  for (const std::string_view name : (*reader)->LabelNames()) {
    const std::vector<std::string_view> values = (*reader)->LabelValues(name);
    EXPECT_TRUE(std::ranges::is_sorted(values));
    for (const std::string_view value : values) {
      const auto list = (*reader)->Postings(name, value);
      ASSERT_TRUE(list.ok());
      ASSERT_GT(list->size(), 0u);
      for (size_t i = 0; i < list->size(); ++i) {
        EXPECT_EQ(LabelsAt(**reader, (*list)[i]).Get(name), value);
      }
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
