// Compaction of stale series: series that have ended move to blocks of their own and leave the
// head; whatever happens meanwhile, no committed sample is lost.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tsdb/db/db.h"
#include "tsdb/db/dump.h"
#include "tsdb/db/fast_files_for_test.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};
constexpr int64_t kStart = 1'700'000'000'000;

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

std::string Dump(Db& db) {
  auto querier = db.OpenQuerier(kAllTime);
  EXPECT_TRUE(querier.ok());
  std::string text;
  const Status status = DumpSeries(**querier, kAllTime, {}, [&](std::string_view line) -> Status {
    text += line;
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.message();
  return text;
}

double MetricOf(const Db& db, std::string_view name) {
  for (const MetricValue& metric : db.Metrics()) {
    if (metric.name == name)
      return metric.kind == MetricValue::Kind::kHistogram ? static_cast<double>(metric.count)
                                                          : metric.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return -1;
}

uint64_t SeriesCount(const Db& db) {
  return db.ReadHeadStatus(1).series_count;
}

Labels SeriesLabels(int i) {
  return {{"__name__", "m"}, {"i", std::to_string(i)}};
}

void MustAppend(Db& db, int series, int64_t t, double value) {
  auto appender = db.NewAppender();
  const auto ref = appender->Append(0, SeriesLabels(series), t, value, {});
  ASSERT_TRUE(ref.ok()) << ref.status().message();
  ASSERT_TRUE(appender->Commit().ok());
}

// Ten series over three and a half hours; those with an even number are stale at the end.
void Fill(Db& db) {
  for (int64_t minute = 0; minute < 210; ++minute) {
    auto appender = db.NewAppender();
    for (int i = 0; i < 10; ++i) {
      const bool stale = i % 2 == 0 && minute == 209;
      const double value = stale ? StaleNan() : static_cast<double>(minute + i);
      ASSERT_TRUE(appender->Append(0, SeriesLabels(i), kStart + minute * 60'000, value, {}).ok());
    }
    ASSERT_TRUE(appender->Commit().ok());
  }
}

TEST(DbStaleSeries, MoveToBlocksOfTheirOwn) {
  const TemporaryDirectory directory;
  std::string before;
  {
    const auto db = MustOpen(OptionsFor(directory.path()));
    Fill(*db);
    ASSERT_TRUE(db->MapFullChunksForTest().ok());
    before = Dump(*db);
    EXPECT_EQ(MetricOf(*db, "prometheus_tsdb_head_stale_series"), 5);
    const int64_t min_time = db->HeadMinTimeMs();
    ASSERT_TRUE(db->CompactStaleSeries().ok());
    EXPECT_EQ(Dump(*db), before);
    EXPECT_EQ(SeriesCount(*db), 5U);
    EXPECT_EQ(MetricOf(*db, "prometheus_tsdb_head_stale_series"), 0);
    EXPECT_EQ(MetricOf(*db, "prometheus_tsdb_head_chunks"), 10);
    EXPECT_EQ(MetricOf(*db, "prometheus_tsdb_stale_series_compactions_triggered_total"), 1);
    EXPECT_EQ(MetricOf(*db, "prometheus_tsdb_stale_series_compactions_failed_total"), 0);
    EXPECT_EQ(MetricOf(*db, "prometheus_tsdb_stale_series_compaction_duration_seconds"), 1);
    EXPECT_EQ(db->HeadMinTimeMs(), min_time);
    // One block for each two hours; the first sample is not at a boundary.
    const std::vector<BlockInfo> blocks = db->Blocks();
    ASSERT_EQ(blocks.size(), 2U);
    for (const BlockInfo& block : blocks) {
      EXPECT_NE(block.meta_json.find("from-stale-series"), std::string::npos) << block.meta_json;
      EXPECT_NE(block.meta_json.find("\"00000000000000000000000000\""), std::string::npos);
      EXPECT_NE(block.meta_json.find("\"numSeries\": 5"), std::string::npos) << block.meta_json;
    }
    // With nothing left to do there is no block.
    ASSERT_TRUE(db->CompactStaleSeries().ok());
    EXPECT_EQ(db->Blocks().size(), 2U);
  }
  // The log brings none of them back.
  const auto db = MustOpen(OptionsFor(directory.path()));
  EXPECT_EQ(SeriesCount(*db), 5U);
  EXPECT_EQ(Dump(*db), before);
}

TEST(DbStaleSeries, ThatComeBackKeepEverySample) {
  const TemporaryDirectory directory;
  std::string before;
  {
    const auto db = MustOpen(OptionsFor(directory.path()));
    Fill(*db);
    ASSERT_TRUE(db->CompactStaleSeries().ok());
    for (int i = 0; i < 10; i += 2) MustAppend(*db, i, kStart + 211 * 60'000, 1000 + i);
    before = Dump(*db);
    EXPECT_NE(before.find("1008"), std::string::npos);
    EXPECT_EQ(SeriesCount(*db), 10U);
  }
  // A second life in the log follows the note of the first one's end.
  auto db = MustOpen(OptionsFor(directory.path()));
  EXPECT_EQ(SeriesCount(*db), 10U);
  EXPECT_EQ(Dump(*db), before);
  ASSERT_TRUE(db->CompactHeadForTest(kStart + 300 * 60'000).ok());
  EXPECT_EQ(Dump(*db), before);
  db.reset();
  db = MustOpen(OptionsFor(directory.path()));
  EXPECT_EQ(Dump(*db), before);
}

TEST(DbStaleSeries, StayWhileAnAppenderKnowsThem) {
  const TemporaryDirectory directory;
  const auto db = MustOpen(OptionsFor(directory.path()));
  Fill(*db);
  ASSERT_TRUE(db->MapFullChunksForTest().ok());  // Those who appended until now are told apart.
  auto appender = db->NewAppender();
  ASSERT_TRUE(appender->Append(0, SeriesLabels(2), kStart + 211 * 60'000, 7, {}).ok());
  ASSERT_TRUE(db->CompactStaleSeries().ok());
  EXPECT_EQ(SeriesCount(*db), 6U);
  ASSERT_TRUE(appender->Commit().ok());
  EXPECT_NE(Dump(*db).find("i=\"2\"} 7 "), std::string::npos) << Dump(*db).substr(0, 300);
}

TEST(DbStaleSeries, WithSamplesOutOfOrderStay) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  options.reloadable.out_of_order_window_ms = 12LL * 3600 * 1000;
  const auto db = MustOpen(options);
  Fill(*db);
  MustAppend(*db, 4, kStart + 30'000, -1);
  const std::string before = Dump(*db);
  ASSERT_TRUE(db->CompactStaleSeries().ok());
  EXPECT_EQ(SeriesCount(*db), 6U);
  EXPECT_EQ(Dump(*db), before);
}

TEST(DbStaleSeries, WithExemplarsKeepTheirName) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  options.reloadable.exemplars_max = 10;
  std::string before;
  {
    const auto db = MustOpen(options);
    {
      auto appender = db->NewAppender();
      const auto ref = appender->Append(0, SeriesLabels(6), kStart - 60'000, 1, {});
      ASSERT_TRUE(ref.ok());
      Exemplar exemplar;
      exemplar.labels = Labels{{"trace", "a"}};
      exemplar.value = 1;
      exemplar.timestamp_ms = kStart - 60'000;
      exemplar.has_timestamp = true;
      ASSERT_TRUE(appender->AppendExemplar(*ref, SeriesLabels(6), exemplar).ok());
      ASSERT_TRUE(appender->Commit().ok());
    }
    Fill(*db);
    before = Dump(*db);
    ASSERT_TRUE(db->CompactStaleSeries().ok());
    EXPECT_EQ(SeriesCount(*db), 6U);
    EXPECT_EQ(Dump(*db), before);
  }
  const auto db = MustOpen(options);
  EXPECT_EQ(Dump(*db), before);
  const auto found = db->SelectExemplars(kAllTime, {{Matcher::Equal("i", "6")}});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->size(), 1U);
}

TEST(DbStaleSeries, TicksCompactAtTheThreshold) {
  const TemporaryDirectory directory;
  DbOptions options = OptionsFor(directory.path());
  options.reloadable.stale_series_compaction_threshold = 0.6;
  const auto db = MustOpen(options);
  Fill(*db);
  const auto triggered = [&] {
    return MetricOf(*db, "prometheus_tsdb_stale_series_compactions_triggered_total");
  };
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(triggered(), 0);
  options.reloadable.stale_series_compaction_threshold = 0.5;
  ASSERT_TRUE(db->ApplyConfig(options.reloadable).ok());
  db->DisableCompactions();
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(triggered(), 0);
  db->EnableCompactions();
  ASSERT_TRUE(db->Tick().ok());
  EXPECT_EQ(triggered(), 1);
  EXPECT_EQ(SeriesCount(*db), 5U);
}

// Readers see every sample of a series once, and appends are never refused, while series end, move
// to blocks and come back.
TEST(DbStaleSeries, UnderReadersAndAppenders) {
  const TemporaryDirectory directory;
  const auto db = MustOpen(OptionsFor(directory.path()));
  std::atomic<int64_t> committed{0};
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int64_t n = 1; n <= 400; ++n) {
      auto appender = db->NewAppender();
      for (int i = 0; i < 4; ++i) {
        const bool stale = (n + i) % 8 < 4;
        EXPECT_TRUE(appender
                        ->Append(0, SeriesLabels(i), kStart + n * 1000,
                                 stale ? StaleNan() : static_cast<double>(n), {})
                        .ok());
      }
      EXPECT_TRUE(appender->Commit().ok());
      committed = n;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    done = true;
  });
  std::thread reader([&] {
    while (!done) {
      const int64_t at_least = committed;
      const std::string text = Dump(*db);
      const auto lines = std::count(text.begin(), text.end(), '\n');
      EXPECT_GE(lines, at_least * 4);
      EXPECT_LE(lines, (committed + 1) * 4);
    }
  });
  while (!done) EXPECT_TRUE(db->CompactStaleSeries().ok());
  writer.join();
  reader.join();
  const std::string text = Dump(*db);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1600);
  EXPECT_GT(db->Blocks().size(), 2U);
}

}  // namespace
}  // namespace narthex::tsdb
