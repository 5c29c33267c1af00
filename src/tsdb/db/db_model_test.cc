// Random histories of a database against a map in memory: append, go stale, delete, compact (stale
// series, too), clean tombstones, snapshot, close and open, crash, a full disk; half of them with
// an out-of-order window. Whatever happened, a query gives what the map holds.
// NARTHEX_MODEL_OPERATIONS=2000000 runs as many histories as that takes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "testing/simulated_disk.h"
#include "tsdb/db/db.h"
#include "tsdb/db/dump.h"
#include "util/log.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};
constexpr int64_t kBlockMs = 600'000;

Histogram RandomHistogram(std::mt19937_64& random) {
  Histogram h;
  h.schema = static_cast<int32_t>(random() % 3);
  h.zero_threshold = 0.001;
  h.zero_count = random() % 5;
  h.positive_spans = {{static_cast<int32_t>(random() % 3), 2}, {1, 1}};
  h.positive_buckets = {static_cast<int64_t>(random() % 50), 1, 0};
  int64_t total = 0;
  int64_t current = 0;
  for (const int64_t delta : h.positive_buckets) total += current += delta;
  h.count = h.zero_count + static_cast<uint64_t>(total);
  h.sum = static_cast<double>(random() % 1000);
  return h;
}

class History {
 public:
  enum class StaleSeries { kStay, kAreCompacted };
  History(uint64_t seed, StaleSeries stale_series)
      : disk_(seed),
        random_(seed),
        window_ms_(seed % 2 == 0 ? 0 : 1'800'000),
        stale_series_(stale_series) {
    Open();
  }

  void Step() {
    const uint64_t dice = random_() % 1000;
    SCOPED_TRACE("dice " + std::to_string(dice));
    if (dice < 900) {
      Append();
    } else if (dice < 930) {
      // Deletion leaves late samples of the head alone but not those in blocks: no model for that.
      if (window_ms_ == 0) Delete();
    } else if (dice < (stale_series_ == StaleSeries::kStay ? 960 : 950)) {
      ASSERT_TRUE(db_->Tick().ok());
    } else if (dice < 960) {
      const Status moved = db_->CompactStaleSeries();
      ASSERT_TRUE(moved.ok()) << moved.message();
    } else if (dice < 970) {
      const Status cleaned = db_->CleanTombstones();
      ASSERT_TRUE(cleaned.ok()) << cleaned.message();
    } else if (dice < 975) {
      Snapshot();
    } else if (dice < 980) {
      FillDisk();
    } else if (dice < 990) {
      db_.reset();
      Open();
    } else {
      Crash();
    }
    if (dice >= 900 || dice % 50 == 0) Check();
  }

  void Check() { Compare(*db_); }

  size_t block_count() const { return db_->Blocks().size(); }
  size_t operations_ = 0;

 private:
  void Compare(Db& db) {
    auto querier = db.OpenQuerier(kAllTime);
    ASSERT_TRUE(querier.ok());
    std::string got;
    const Status status = DumpSeries(**querier, kAllTime, {}, [&](std::string_view line) -> Status {
      // Which kind a stale marker has depends on the value before it, and a start does not see
      // those that stand in blocks.
      constexpr std::string_view kStaleHistogram = "{count:0, sum:NaN}";
      const size_t stale = line.find(kStaleHistogram);
      got += line.substr(0, stale);
      if (stale != line.npos) got.append("NaN").append(line.substr(stale + kStaleHistogram.size()));
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.message();
    std::string want;
    for (const auto& [labels, samples] : model_) {
      const std::string name = labels.ToString();
      for (const auto& [t, text] : samples) {
        want.append(name).append(" ").append(text).append(" ").append(std::to_string(t)) += '\n';
      }
    }
    if (got == want) return;
    size_t at = 0;
    while (at < got.size() && at < want.size() && got[at] == want[at]) ++at;
    const size_t line = at == 0 ? 0 : got.rfind('\n', at - 1) + 1;
    FAIL() << "got  " << got.substr(line, got.find('\n', at) - line) << "\nwant "
           << want.substr(line, want.find('\n', at) - line) << "\nof " << got.size() << " and "
           << want.size() << " bytes, operation " << operations_;
  }

  DbOptions Options(const std::string& path) {
    DbOptions options;
    options.path = path;
    options.background = false;
    options.no_lockfile = true;
    options.file_system = &disk_;
    options.reloadable.retention_ms = 0;
    options.min_block_duration_ms = kBlockMs;
    options.max_block_duration_ms = kBlockMs * 9;
    options.wal_segment_bytes = 64 << 10;
    options.samples_per_chunk = 20;
    options.block_chunk_segment_bytes = 1 << 20;
    options.reloadable.out_of_order_window_ms = window_ms_;
    options.reloadable.float_encoding =
        random_() % 2 == 0 ? FloatEncoding::kXor : FloatEncoding::kXor2;
    return options;
  }

  void Open() {
    auto db = Db::Open(Options(kPath));
    ASSERT_TRUE(db.ok()) << db.status().message();
    db_ = *std::move(db);
  }

  // A copy of everything opens and holds what the database holds.
  void Snapshot() {
    const std::string path = "/snapshot";
    const Status made = db_->Snapshot(path, true);
    ASSERT_TRUE(made.ok()) << made.message();
    {
      auto copy = Db::Open(Options(path));
      ASSERT_TRUE(copy.ok()) << copy.status().message();
      Compare(**copy);
    }
    ASSERT_TRUE(disk_.RemoveAll(path).ok());
  }

  // Nothing can be written for a while: what is refused is not there, and the rest still is.
  void FillDisk() {
    disk_.Schedule({.kind = testing::FaultKind::kNoSpace,
                    .operation = disk_.operations(),
                    .operations = 1 + random_() % 40});
    static_cast<void>(db_->Tick().ok());
    Compare(*db_);
    disk_.Heal();
  }

  // The process dies: whatever reached the files is there, nothing is closed.
  void Crash() {
    disk_.Schedule({.kind = testing::FaultKind::kCrash, .operation = disk_.operations()});
    db_.reset();
    disk_.Crash(testing::Survivors::kWritten);
    Open();
  }

  Labels SeriesLabels(int64_t n) const {
    return Labels{{"__name__", "m" + std::to_string(n % 3)}, {"i", std::to_string(n)}};
  }

  void Append() {
    now_ms_ += (5 + static_cast<int64_t>(random_() % 20)) * 1000;
    auto appender = db_->NewAppender();
    std::vector<std::tuple<Labels, int64_t, std::string>> added;
    std::set<Labels> used;
    std::map<Labels, int64_t> newest_here;
    const uint64_t count = 1 + random_() % 30;
    for (uint64_t i = 0; i < count; ++i) {
      const Labels labels = SeriesLabels(static_cast<int64_t>(random_() % 40));
      // A series that changes its kind gets one sample a commit: of more, which one is refused
      // depends on the batches that upstream's rules make.
      const char last = labels.Get("i").back();
      if (last == '7' && !used.insert(labels).second) continue;
      bool histogram = last == '8' || (last == '7' && random_() % 4 != 0);
      int64_t t = now_ms_ + static_cast<int64_t>(random_() % 3) * 1000;
      // A stale series may have left the head, and its next sample may then be older.
      const bool late =
          random_() % 10 == 0 &&
          (window_ms_ > 0 ? last != '7'
                          : stale_series_ == StaleSeries::kStay || !stale_.contains(labels));
      if (late) t -= static_cast<int64_t>(random_() % 2'000'000);
      std::mt19937_64* values = &random_;
      std::mt19937_64 fixed(static_cast<uint64_t>(t));
      if (window_ms_ > 0) {
        // Late samples have times of their own and one value for a time: which of two survives is
        // not said.
        if (late) {
          t |= 1;
          fixed.seed(static_cast<uint64_t>(t));
          values = &fixed;
        } else if (const auto here = newest_here.find(labels);
                   here != newest_here.end() && t <= here->second) {
          continue;
        }
      }
      Result<storage::SeriesRef> ref = storage::SeriesRef{0};
      std::string text;
      if (histogram) {
        const Histogram h = RandomHistogram(*values);
        ref = appender->AppendHistogram(0, labels, t, h, {});
        text = h.ToString();
      } else {
        const bool stale = !late && random_() % 15 == 0;
        const double v = stale ? StaleNan() : static_cast<double>((*values)() % 100);
        ref = appender->Append(0, labels, t, v, {});
        text = stale ? "stale" : FormatFloatG(v);
      }
      if (ref.ok()) {
        added.emplace_back(labels, t, text);
        int64_t& here = newest_here.try_emplace(labels, t).first->second;
        here = std::max(here, t);
      } else {
        const ErrorCode code = ref.status().code();
        ASSERT_TRUE(code == ErrorCode::kOutOfBounds || code == ErrorCode::kOutOfOrderSample ||
                    code == ErrorCode::kDuplicateSample || code == ErrorCode::kTooOldSample)
            << ref.status().message();
      }
    }
    if (random_() % 20 == 0) {
      ASSERT_TRUE(appender->Rollback().ok());
      return;
    }
    ASSERT_TRUE(appender->Commit().ok());
    for (auto& [labels, t, text] : added) {
      int64_t& newest = newest_.try_emplace(labels, INT64_MIN).first->second;
      if (t <= newest) {
        if (window_ms_ > 0) model_[labels].emplace(t, text);
        continue;
      }
      newest = t;
      if (text == "stale") {
        stale_.insert(labels);
        text = "NaN";
      } else {
        stale_.erase(labels);
      }
      model_[labels][t] = text;
    }
  }

  void Delete() {
    const int64_t end = now_ms_ - static_cast<int64_t>(random_() % 3'000'000);
    const int64_t start = end - static_cast<int64_t>(random_() % 600'000);
    const std::string name = "m" + std::to_string(random_() % 3);
    const std::vector<Matcher> matchers{Matcher::Equal("__name__", name)};
    const Status deleted = db_->Delete({start, end}, matchers);
    ASSERT_TRUE(deleted.ok()) << deleted.message();
    for (auto& [labels, samples] : model_) {
      if (labels.metric_name() != name) continue;
      samples.erase(samples.lower_bound(start), samples.upper_bound(end));
    }
  }

  static constexpr char kPath[] = "/data";
  testing::SimulatedDisk disk_;
  std::mt19937_64 random_;
  const int64_t window_ms_;
  const StaleSeries stale_series_;
  std::unique_ptr<Db> db_;
  std::map<Labels, std::map<int64_t, std::string>> model_;
  std::map<Labels, int64_t> newest_;
  std::set<Labels> stale_;  // The newest sample is a stale marker.
  int64_t now_ms_ = 1'700'000'000'000;
};

// Histories that went wrong once.
TEST(DbModel, OldHistories) {
  SetLogLevel(LogLevel(4));
  for (const uint64_t seed : {105U, 293U, 4246U}) {
    SCOPED_TRACE("NARTHEX_TEST_SEED=" + std::to_string(seed));
    History history(seed, History::StaleSeries::kStay);
    for (; history.operations_ < 250; ++history.operations_) {
      history.Step();
      ASSERT_FALSE(HasFatalFailure());
    }
  }
}

TEST(DbModel, RandomHistories) {
  SetLogLevel(LogLevel(4));
  constexpr size_t kOperations = 600;
  const char* seed_text = std::getenv("NARTHEX_TEST_SEED");
  const char* operations_text = std::getenv("NARTHEX_MODEL_OPERATIONS");
  const uint64_t first = seed_text != nullptr ? std::strtoull(seed_text, nullptr, 10) : 1;
  uint64_t histories = seed_text != nullptr ? 1 : 8;
  if (operations_text != nullptr) {
    histories = std::strtoull(operations_text, nullptr, 10) / kOperations + 1;
  }
  size_t blocks = 0;
  for (uint64_t seed = first; seed < first + histories; ++seed) {
    SCOPED_TRACE("NARTHEX_TEST_SEED=" + std::to_string(seed));
    History history(seed, History::StaleSeries::kAreCompacted);
    for (; history.operations_ < kOperations; ++history.operations_) {
      history.Step();
      ASSERT_FALSE(HasFatalFailure());
    }
    ASSERT_NO_FATAL_FAILURE(history.Check());
    blocks += history.block_count();
  }
  if (seed_text == nullptr) EXPECT_GT(blocks, 4U);
}

}  // namespace
}  // namespace narthex::tsdb
