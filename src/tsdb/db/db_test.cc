#include "tsdb/db/db.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tsdb/db/dump.h"
#include "tsdb/db/fast_files_for_test.h"
#include "tsdb/db/read_only_db.h"
#include "util/compress.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};

DbOptions OptionsFor(const std::string& path) {
  DbOptions options;
  options.path = path;
  options.background = false;
  options.reloadable.retention_ms = 0;
  return options;
}

std::unique_ptr<Db> MustOpen(DbOptions options) {
  auto db = Db::Open(std::move(options));
  EXPECT_TRUE(db.ok()) << db.status().message();
  return db.ok() ? *std::move(db) : nullptr;
}

std::string DumpText(Db& db, TimeRange range = kAllTime) {
  auto querier = db.OpenQuerier(range);
  EXPECT_TRUE(querier.ok());
  std::string text;
  const Status status = DumpSeries(**querier, range, {}, [&](std::string_view line) -> Status {
    text += line;
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.message();
  return text;
}

TEST(Db, SamplesSurviveAReopen) {
  const TemporaryDirectory directory;
  std::string before;
  {
    const auto db = MustOpen(OptionsFor(directory.path()));
    for (int64_t t = 1; t <= 500; ++t) {
      auto appender = db->NewAppender();
      for (int i = 0; i < 10; ++i) {
        const Labels labels{{"__name__", "m"}, {"i", std::to_string(i)}};
        ASSERT_TRUE(appender->Append(0, labels, t * 15'000, static_cast<double>(t * i), {}).ok());
      }
      ASSERT_TRUE(appender->Commit().ok());
    }
    ASSERT_TRUE(db->Tick().ok());
    before = DumpText(*db);
    EXPECT_EQ(std::count(before.begin(), before.end(), '\n'), 5000);
  }
  const auto db = MustOpen(OptionsFor(directory.path()));
  EXPECT_EQ(DumpText(*db), before);
}

// One sample a minute of `series` series from `from_ms` up to `to_ms`.
void Fill(Db& db, int64_t from_ms, int64_t to_ms, int series = 3) {
  for (int64_t t = from_ms; t < to_ms; t += 60'000) {
    auto appender = db.NewAppender();
    for (int i = 0; i < series; ++i) {
      const Labels labels{{"__name__", "m"}, {"i", std::to_string(i)}};
      ASSERT_TRUE(appender->Append(0, labels, t, static_cast<double>(t / 1000), {}).ok());
    }
    ASSERT_TRUE(appender->Commit().ok());
  }
}

constexpr int64_t kHourMs = 3'600'000;

std::vector<std::string> Spans(const Db& db) {
  std::vector<std::string> spans;
  for (const BlockInfo& block : db.Blocks()) {
    spans.push_back(fmt::format("{}-{}", static_cast<double>(block.min_time_ms) / kHourMs,
                                static_cast<double>(block.max_time_ms) / kHourMs));
  }
  return spans;
}

double Metric(const Db& db, std::string_view name) {
  for (const MetricValue& metric : db.Metrics()) {
    if (metric.name == name) return metric.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

size_t SampleCount(Db& db) {
  const std::string text = DumpText(db);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(DbCompaction, CutsBlocksAndMergesThem) {
  const TemporaryDirectory directory;
  FastFiles files;
  DbOptions options = OptionsFor(directory.path());
  options.file_system = &files;
  options.block_chunk_segment_bytes = 1 << 20;
  const auto db = MustOpen(options);
  ASSERT_NO_FATAL_FAILURE(Fill(*db, 0, 3 * kHourMs));
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(Spans(*db), std::vector<std::string>{}) << "three hours are not more than 1.5 ranges";
  ASSERT_NO_FATAL_FAILURE(Fill(*db, 3 * kHourMs, 3 * kHourMs + 120'000));
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(Spans(*db), std::vector<std::string>{"0-2"});
  EXPECT_EQ(db->HeadMinTimeMs(), 2 * kHourMs);
  for (int64_t hour = 4; hour <= 10; ++hour) {
    ASSERT_NO_FATAL_FAILURE(Fill(*db, db->HeadMaxTimeMs() + 60'000, hour * kHourMs));
    ASSERT_TRUE(db->Tick().ok());
  }
  // Four blocks of two hours; the first three fill six hours and the newest is left alone.
  EXPECT_EQ(Spans(*db), (std::vector<std::string>{"0-6", "6-8"}));
  EXPECT_EQ(SampleCount(*db), 3U * 600);
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_blocks_loaded"), 2);
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_compactions_failed_total"), 0);
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_vertical_compactions_total"), 0);
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_compaction_populating_block"), 0);
  // Three series of four first blocks, 120 samples each.
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_compaction_chunk_samples"), 3 * 4 * 120);
}

// The commit that fills a chunk range has it cut, long before the next tick.
TEST(DbCompaction, IsAskedForByACommit) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  options.background = true;
  options.block_reload_interval_ms = 3'600'000;
  const auto db = MustOpen(options);
  Fill(*db, 0, 5 * kHourMs);
  for (int i = 0; i < 500 && db->HeadMinTimeMs() < 2 * kHourMs; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(Spans(*db), std::vector<std::string>{"0-2"});
  // And the one after it.
  Fill(*db, 5 * kHourMs, 7 * kHourMs);
  for (int i = 0; i < 500 && db->HeadMinTimeMs() < 4 * kHourMs; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(Spans(*db), (std::vector<std::string>{"0-2", "2-4"}));
}

TEST(DbRetention, ByTimeAndBySize) {
  const TemporaryDirectory directory;
  FastFiles files;
  DbOptions options = OptionsFor(directory.path());
  options.file_system = &files;
  options.block_chunk_segment_bytes = 1 << 20;
  options.max_block_duration_ms = 2 * kHourMs;
  const auto db = MustOpen(options);
  ASSERT_NO_FATAL_FAILURE(Fill(*db, 0, 12 * kHourMs));
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(db->Blocks().size(), 5U);
  DbReloadableOptions limits = options.reloadable;
  limits.retention_ms = 6 * kHourMs;
  ASSERT_TRUE(db->ApplyConfig(limits).ok());
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(Spans(*db), (std::vector<std::string>{"4-6", "6-8", "8-10"}));
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_time_retentions_total"), 2);
  limits.retention_ms = 0;
  limits.retention_bytes = 1;
  ASSERT_TRUE(db->ApplyConfig(limits).ok());
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(Spans(*db), std::vector<std::string>{});
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_size_retentions_total"), 3);
  EXPECT_EQ(SampleCount(*db), 3U * 120) << "the head stays";
}

TEST(DbDelete, HidesAtOnceAndCleansLater) {
  const TemporaryDirectory directory;
  FastFiles files;
  DbOptions options = OptionsFor(directory.path());
  options.file_system = &files;
  options.block_chunk_segment_bytes = 1 << 20;
  std::string before;
  {
    const auto db = MustOpen(options);
    ASSERT_NO_FATAL_FAILURE(Fill(*db, 0, 4 * kHourMs));
    ASSERT_TRUE(db->Tick().ok());
    ASSERT_EQ(db->Blocks().size(), 1U);
    const std::vector<Matcher> one{Matcher::Equal("i", "1")};
    ASSERT_TRUE(db->Delete({kHourMs, 3 * kHourMs}, one).ok());
    EXPECT_EQ(SampleCount(*db), 3U * 240 - 121);
    ASSERT_TRUE(db->CleanTombstones().ok());
    EXPECT_EQ(SampleCount(*db), 3U * 240 - 121);
    EXPECT_EQ(db->Blocks()[0].meta_json.find("numTombstones"), std::string::npos);
    before = DumpText(*db);
    // New samples of the deleted series are not hidden.
    ASSERT_NO_FATAL_FAILURE(Fill(*db, 4 * kHourMs, 4 * kHourMs + 60'000));
    EXPECT_EQ(SampleCount(*db), 3U * 240 - 121 + 3);
  }
  const auto db = MustOpen(options);
  EXPECT_EQ(SampleCount(*db), 3U * 240 - 121 + 3) << "deletions in the head are durable";
}

TEST(DbSnapshot, IsADatabase) {
  const TemporaryDirectory directory;
  const auto db = MustOpen(OptionsFor(directory.path() + "/data"));
  ASSERT_NO_FATAL_FAILURE(Fill(*db, 0, 4 * kHourMs));
  ASSERT_TRUE(db->Tick().ok());
  const std::string copy = directory.path() + "/data/snapshots/one";
  const Status taken = db->Snapshot(copy, /*with_head=*/true);
  ASSERT_TRUE(taken.ok()) << taken.message();
  const auto restored = MustOpen(OptionsFor(copy));
  EXPECT_EQ(DumpText(*restored), DumpText(*db));
  EXPECT_EQ(restored->Blocks().size(), 2U);
  EXPECT_EQ(db->Snapshot(directory.path() + "/data", false).message(),
            "cannot snapshot into base directory");
}

TEST(DbLock, OneOwner) {
  const TemporaryDirectory directory;
  auto db = MustOpen(OptionsFor(directory.path()));
  EXPECT_EQ(Metric(*db, "prometheus_tsdb_clean_start"), 1);
  const auto second = Db::Open(OptionsFor(directory.path()));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(), "lock DB directory: resource temporarily unavailable");
  ASSERT_TRUE(db->Close().ok());
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/lock"));
}

TEST(DbReadOnly, LooksAtALiveDirectory) {
  const TemporaryDirectory directory;
  const auto db = MustOpen(OptionsFor(directory.path()));
  ASSERT_NO_FATAL_FAILURE(Fill(*db, 0, 4 * kHourMs));
  ASSERT_TRUE(db->Tick().ok());
  {
    const auto view = ReadOnlyDb::Open(directory.path());
    ASSERT_TRUE(view.ok()) << view.status().message();
    auto querier = (*view)->OpenQuerier(kAllTime);
    std::string text;
    ASSERT_TRUE(DumpSeries(**querier, kAllTime, {}, [&](std::string_view line) -> Status {
                  text += line;
                  return {};
                }).ok());
    EXPECT_EQ(text, DumpText(*db));
    EXPECT_EQ((*view)->Blocks().size(), 1U);
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    EXPECT_EQ(entry.path().filename().string().find("sandbox"), std::string::npos);
  }
  ASSERT_NO_FATAL_FAILURE(Fill(*db, 4 * kHourMs, 5 * kHourMs));
  EXPECT_EQ(SampleCount(*db), 3U * 300) << "the owner goes on";
}

TEST(DbFullDisk, ServesAndRecovers) {
  const TemporaryDirectory directory;
  FastFiles files;
  DbOptions options = OptionsFor(directory.path());
  options.file_system = &files;
  options.block_chunk_segment_bytes = 1 << 20;
  options.samples_per_chunk = 20;
  {
    const auto db = MustOpen(options);
    ASSERT_NO_FATAL_FAILURE(Fill(*db, 0, 4 * kHourMs));
    ASSERT_TRUE(db->MapFullChunksForTest().ok());
    const std::string before = DumpText(*db);
    files.full = true;
    auto appender = db->NewAppender();
    ASSERT_TRUE(appender->Append(0, Labels{{"__name__", "m"}}, 4 * kHourMs, 1, {}).ok());
    EXPECT_FALSE(appender->Commit().ok());
    EXPECT_FALSE(db->Compact().ok());
    EXPECT_EQ(Metric(*db, "prometheus_tsdb_compactions_failed_total"), 1);
    EXPECT_EQ(DumpText(*db), before);
    files.full = false;
    ASSERT_TRUE(db->Tick().ok());
    EXPECT_EQ(db->Blocks().size(), 1U);
    EXPECT_EQ(DumpText(*db), before);
    ASSERT_NO_FATAL_FAILURE(Fill(*db, 4 * kHourMs, 5 * kHourMs));
  }
  const auto db = MustOpen(options);
  EXPECT_EQ(SampleCount(*db), 3U * 300);
}

// Everything committed before the files are copied is in the copy, whatever runs meanwhile.
TEST(DbCrash, CommittedSamplesSurvive) {
  SetLogLevel(LogLevel::kError);
  const TemporaryDirectory directory;
  FastFiles files;
  DbOptions options = OptionsFor(directory.path() + "/data");
  options.file_system = &files;
  options.min_block_duration_ms = 600'000;
  options.max_block_duration_ms = 1'800'000;
  options.block_chunk_segment_bytes = 1 << 20;
  options.wal_segment_bytes = 64 << 10;
  options.samples_per_chunk = 20;
  const auto db = MustOpen(options);
  std::atomic<int64_t> committed{0};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int64_t i = 1; i <= 2000 && !stop; ++i) {
      auto appender = db->NewAppender();
      for (int s = 0; s < 5; ++s) {
        const Labels labels{{"__name__", "m"}, {"s", std::to_string(s)}};
        if (!appender->Append(0, labels, i * 1000, static_cast<double>(i), {}).ok()) return;
      }
      if (!appender->Commit().ok()) return;
      committed = i;
    }
    stop = true;
  });
  int copies = 0;
  while (!stop && copies < 6) {
    const int64_t sure = committed;
    const std::string copy = directory.path() + "/copy" + std::to_string(copies++);
    // The maintenance of this thread is between two steps while it copies; the writer goes on.
    std::filesystem::copy(directory.path() + "/data", copy,
                          std::filesystem::copy_options::recursive);
    std::filesystem::remove(copy + "/lock");
    DbOptions copy_options = options;
    copy_options.path = copy;
    const auto restored = MustOpen(copy_options);
    ASSERT_NE(restored, nullptr);
    auto querier = restored->OpenQuerier({1, sure * 1000});
    std::map<std::string, int64_t> newest;
    size_t samples = 0;
    ASSERT_TRUE(DumpSeries(**querier, {1, sure * 1000}, {}, [&](std::string_view) -> Status {
                  ++samples;
                  return {};
                }).ok());
    EXPECT_EQ(samples, static_cast<size_t>(sure) * 5);
    ASSERT_TRUE(db->Tick().ok());
  }
  stop = true;
  writer.join();
  EXPECT_GT(copies, 0);
}

TEST(DbExemplars, AreReplayed) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  options.reloadable.exemplars_max = 10;
  const Labels labels{{"__name__", "m"}};
  {
    const auto db = MustOpen(options);
    auto appender = db->NewAppender();
    const auto ref = appender->Append(0, labels, 1000, 1, {});
    ASSERT_TRUE(ref.ok());
    ASSERT_TRUE(
        appender->AppendExemplar(*ref, labels, Exemplar{Labels{{"id", "a"}}, 2, 900, true}).ok());
    ASSERT_TRUE(appender->UpdateMetadata(*ref, labels, {MetricType::kCounter, "s", "help"}).ok());
    ASSERT_TRUE(appender->Commit().ok());
  }
  const auto db = MustOpen(options);
  const auto found = db->SelectExemplars(kAllTime, {{Matcher::Equal("__name__", "m")}});
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].exemplars,
            (std::vector<Exemplar>{Exemplar{Labels{{"id", "a"}}, 2, 900, true}}));
}

class MovedClock : public Clock {
 public:
  int64_t NowNanos() const override { return now_ms * kNanosPerMilli; }
  int64_t now_ms = 1'700'000'000'000;
};

// A head that can be cut waits for its share of the chunk range, once, and blocks wait with it.
TEST(DbCompaction, IsDelayed) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  MovedClock clock;
  options.clock = &clock;
  options.compaction_delay_percent_max = 100;
  const auto db = MustOpen(options);
  ASSERT_NE(db, nullptr);
  const int64_t range_ms = options.min_block_duration_ms;
  const auto append = [&](int64_t t) {
    auto appender = db->NewAppender();
    ASSERT_TRUE(appender->Append(0, Labels{{"__name__", "m"}}, t, 1, {}).ok());
    ASSERT_TRUE(appender->Commit().ok());
  };
  append(0);
  for (int64_t cut = 1; cut <= 2; ++cut) {
    append(3 * cut * range_ms);
    ASSERT_TRUE(db->Compact().ok());
    const bool at_once = db->Blocks().size() == static_cast<size_t>(cut);
    clock.now_ms += range_ms;
    ASSERT_TRUE(db->Compact().ok());
    EXPECT_EQ(db->Blocks().size(), static_cast<size_t>(cut));
    // One in seven million draws the delay 0.
    EXPECT_FALSE(at_once);
  }
}

TEST(DbConfig, RefusesWhatItCannotDo) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  options.start_timestamp_storage = true;
  const auto db = MustOpen(options);
  ASSERT_NE(db, nullptr);
  DbReloadableOptions reloaded = options.reloadable;
  EXPECT_EQ(db->ApplyConfig(reloaded).message(),
            "float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR chunks "
            "do not store start timestamps, use \"xor2\"");
  reloaded.float_encoding = FloatEncoding::kXor2;
  EXPECT_TRUE(db->ApplyConfig(reloaded).ok());
}

std::filesystem::path ConformanceDirectory() {
  if (const char* set = std::getenv("NARTHEX_CONFORMANCE_DIR")) return set;
  return std::filesystem::path(NARTHEX_SOURCE_DIR).parent_path() / "shared" / "conformance";
}

// A directory of the real TSDB: one block and a log; every sample type.
TEST(DbConformance, DumpsAnUpstreamDirectory) {
  const std::filesystem::path archive = ConformanceDirectory() / "api" / "data-dir.tar.zst";
  const std::filesystem::path dump =
      ConformanceDirectory() / "tsdb" / "data-dir-dump.sorted.txt.zst";
  if (!std::filesystem::exists(archive) || !std::filesystem::exists(dump)) {
    GTEST_SKIP() << "no conformance data at " << ConformanceDirectory();
  }
  const TemporaryDirectory directory;
  const std::string untar = "tar --zstd -xf '" + archive.string() + "' -C '" + directory.path() +
                            "' && chmod -R u+w '" + directory.path() + "'";
  ASSERT_EQ(std::system(untar.c_str()), 0);
  const Result<std::string> compressed = FileSystem::Posix().ReadAll(dump.string());
  ASSERT_TRUE(compressed.ok());
  const Result<std::string> want = ZstdDecompress(*compressed, size_t{1} << 30);
  ASSERT_TRUE(want.ok());
  // The second time the log is one that we wrote on.
  for (int round = 0; round < 2; ++round) {
    const auto db = MustOpen(OptionsFor(directory.path()));
    ASSERT_NE(db, nullptr);
    const std::string got = DumpText(*db);
    std::vector<std::string_view> lines = Split(got, '\n');
    std::sort(lines.begin(), lines.end());
    const std::vector<std::string_view> want_lines = Split(*want, '\n');
    std::vector<std::string_view> sorted_want = want_lines;
    std::sort(sorted_want.begin(), sorted_want.end());
    ASSERT_EQ(lines.size(), sorted_want.size());
    for (size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i], sorted_want[i]) << i;
  }
}

}  // namespace
}  // namespace narthex::tsdb
