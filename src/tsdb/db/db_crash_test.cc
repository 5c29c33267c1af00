// Crash consistency: one scripted workload, and a fault at every operation of the disk that it
// makes. Whatever the fault, the database opens again, holds every sample it has acknowledged
// (after a loss of power: every one whose log had been synced), holds nothing that nobody appended,
// and goes on working.
//
// NARTHEX_CRASH_STRIDE=1 takes every operation with every seed of NARTHEX_CRASH_SEEDS (a number);
// by default a few seconds' worth is taken.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulated_disk.h"
#include "tsdb/db/db.h"
#include "tsdb/db/dump.h"
#include "util/log.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

using testing::Fault;
using testing::FaultKind;
using testing::SimulatedDisk;
using testing::Survivors;

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};
constexpr int64_t kStart = 1'700'000'400'000;
constexpr int64_t kStepMs = 30'000;
constexpr int64_t kBlockMs = 600'000;
constexpr int kSteps = 110;
constexpr char kPath[] = "/data";

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* set = std::getenv(variable);
  return set != nullptr ? std::strtoull(set, nullptr, 10) : otherwise;
}

// Where the log ended when something was acknowledged.
struct LogMark {
  std::string directory;
  int segment = -1;
  uint64_t bytes = 0;
};

class Workload {
 public:
  explicit Workload(SimulatedDisk* disk) : disk_(*disk) {}

  // Runs until the script ends or the process dies.
  void Run() {
    if (!Open()) return;
    for (int step = 0; step < kSteps && !disk_.dead(); ++step) Step(step);
    if (disk_.dead()) return;
    static_cast<void>(db_->Close().ok());
  }

  // What the machine finds after the crash.
  void Recover(Survivors survivors) {
    NoteDurable(survivors);
    db_.reset();
    disk_.Crash(survivors);
    ASSERT_TRUE(Open()) << open_error_;
    ASSERT_NO_FATAL_FAILURE(Check("after the crash"));
    // It goes on: appends, compacts, closes and opens.
    const int64_t now = std::max(newest_, kStart);
    for (int i = 1; i <= 45; ++i) {
      AppendAt(now + i * kStepMs, i);
      if (i % 15 != 0) continue;
      const Status ticked = db_->Tick();
      ASSERT_TRUE(ticked.ok()) << ticked.message();
    }
    ASSERT_NO_FATAL_FAILURE(Check("going on"));
    const Status closed = db_->Close();
    ASSERT_TRUE(closed.ok()) << closed.message();
    db_.reset();
    ASSERT_TRUE(Open()) << open_error_;
    ASSERT_NO_FATAL_FAILURE(Check("after another start"));
    db_.reset();
  }

  // The fault is over and nobody died: nothing may be missing, now and after a restart.
  void Survive() {
    disk_.Heal();
    if (db_ == nullptr) ASSERT_TRUE(Open()) << open_error_;
    ASSERT_NO_FATAL_FAILURE(Recover(Survivors::kWritten));
  }

  // Of the run so far: how much a loss of power now would leave.
  size_t DurableSamples() {
    NoteDurable(Survivors::kSynced);
    size_t count = 0;
    for (const auto& [labels, samples] : model_) {
      for (const auto& [t, sample] : samples) count += sample.state == State::kThere;
    }
    return count;
  }
  void Release() { db_.reset(); }

 private:
  enum class State : uint8_t { kThere, kMaybe, kGone };
  struct Sample {
    std::string text;
    State state = State::kMaybe;
  };
  struct Promise {
    LogMark wal;
    LogMark wbl;
    std::vector<std::pair<std::string, int64_t>> samples;
    State kept = State::kThere;
  };

  bool Open() {
    DbOptions options;
    options.path = kPath;
    options.background = false;
    options.no_lockfile = true;
    options.file_system = &disk_;
    options.reloadable.retention_ms = 0;
    options.reloadable.out_of_order_window_ms = 1'200'000;
    options.min_block_duration_ms = kBlockMs;
    options.max_block_duration_ms = kBlockMs * 3;
    options.wal_segment_bytes = 32 << 10;
    options.wal_compression = WalCompression::kNone;
    options.samples_per_chunk = 12;
    options.block_chunk_segment_bytes = 1 << 20;
    db_.reset();
    auto db = Db::Open(std::move(options));
    if (!db.ok()) {
      open_error_ = db.status().message();
      return false;
    }
    db_ = *std::move(db);
    return true;
  }

  void Step(int step) {
    const int64_t t = kStart + step * kStepMs;
    AppendAt(t, step);
    if (disk_.dead()) return;
    if (step % 10 == 9) static_cast<void>(db_->Tick().ok());
    if (step == 35 || step == 70) Delete(t - 900'000, t - 400'000);
    if (step == 50) Reopen();
    if (step == 60) {
      static_cast<void>(db_->Snapshot(std::string(kPath) + "/snapshots/one", true).ok());
    }
    if (step == 75) static_cast<void>(db_->CleanTombstones().ok());
    if (step == 90) static_cast<void>(db_->Tick().ok());
  }

  void Reopen() {
    static_cast<void>(db_->Close().ok());
    if (disk_.dead() || Open()) return;
    // A fault at start-up: the operator starts it again.
    if (!disk_.dead()) {
      disk_.Heal();
      ASSERT_TRUE(Open()) << open_error_;
    }
  }

  LogMark EndOf(const std::string& name) const {
    LogMark mark;
    mark.directory = JoinPath(kPath, name);
    const auto segments = ListWalSegments(disk_, mark.directory);
    if (!segments.ok() || segments->empty()) return mark;
    mark.segment = segments->back().index;
    mark.bytes = segments->back().size;
    return mark;
  }

  // Everything of the log up to the mark would be found. What is not there any more was let go of,
  // so it stands elsewhere.
  bool IsDurable(const LogMark& mark) const {
    const auto segments = ListWalSegments(disk_, mark.directory);
    if (!segments.ok()) return true;
    for (const WalSegment& segment : *segments) {
      if (segment.index > mark.segment) break;
      const uint64_t bytes = segment.index == mark.segment ? mark.bytes : segment.size;
      if (!disk_.IsDurable(segment.path, bytes)) return false;
    }
    return true;
  }

  void NoteDurable(Survivors survivors) {
    for (const Promise& promise : promises_) {
      const bool holds =
          survivors == Survivors::kWritten || (IsDurable(promise.wal) && IsDurable(promise.wbl));
      if (holds) continue;
      for (const auto& [labels, t] : promise.samples) model_[labels][t].state = State::kMaybe;
    }
    promises_.clear();
  }

  static Labels SeriesLabels(int i, int step) {
    // Of the last two the name changes, so that series die.
    const std::string generation = i >= 6 ? std::to_string(step / 25) : "";
    return Labels{{"__name__", "m"}, {"g", generation}, {"i", std::to_string(i)}};
  }

  void AppendAt(int64_t now, int step) {
    auto appender = db_->NewAppender();
    Promise promise;
    const auto note = [&](const Labels& labels, int64_t t, std::string text) {
      std::string name = labels.ToString();
      model_[name][t].text = std::move(text);
      promise.samples.emplace_back(std::move(name), t);
    };
    for (int i = 0; i < 8; ++i) {
      Labels labels = SeriesLabels(i, step);
      if (i < 6) labels = Labels{{"__name__", "m"}, {"i", std::to_string(i)}};
      const double v = static_cast<double>((now / 1000 * 7 + i) % 1000);
      if (appender->Append(0, labels, now, v, {}).ok()) note(labels, now, FormatFloatG(v));
    }
    {
      const Labels labels{{"__name__", "h"}};
      Histogram h;
      h.schema = 1;
      h.positive_spans = {{0, 2}, {step % 3, 1}};
      h.positive_buckets = {step + 1, 1, -1};
      h.count = 3 * static_cast<uint64_t>(step) + 4;
      h.sum = static_cast<double>(step);
      if (appender->AppendHistogram(0, labels, now, h, {}).ok()) note(labels, now, h.ToString());
    }
    if (step % 3 == 2) {
      for (int i = 0; i < 2; ++i) {
        const Labels labels{{"__name__", "m"}, {"i", std::to_string(i)}};
        const int64_t t = now - int64_t{150'000} * (step % 5 + 1) - 1 - step % 7;
        const double v = static_cast<double>(t % 1009);
        if (appender->Append(0, labels, t, v, {}).ok()) note(labels, t, FormatFloatG(v));
      }
    }
    const bool committed = appender->Commit().ok();
    newest_ = std::max(newest_, now);
    if (!committed || disk_.dead()) return;
    for (const auto& [labels, t] : promise.samples) {
      Sample& sample = model_[labels][t];
      if (sample.state == State::kMaybe) sample.state = State::kThere;
    }
    promise.wal = EndOf("wal");
    promise.wbl = EndOf("wbl");
    promises_.push_back(std::move(promise));
  }

  void Delete(int64_t from, int64_t to) {
    const std::vector<Matcher> matchers{Matcher::Equal("i", "3")};
    Promise promise;
    promise.kept = State::kGone;
    const bool done = db_->Delete({from, to}, matchers).ok() && !disk_.dead();
    for (auto& [labels, samples] : model_) {
      if (labels.find("i=\"3\"") == std::string::npos) continue;
      for (auto at = samples.lower_bound(from); at != samples.upper_bound(to); ++at) {
        at->second.state = done ? State::kGone : State::kMaybe;
        promise.samples.emplace_back(labels, at->first);
      }
    }
    if (!done) {
      // An earlier promise of them holds no longer.
      Forget(promise.samples);
      return;
    }
    promise.wal = EndOf("wal");
    promises_.push_back(std::move(promise));
  }

  void Forget(const std::vector<std::pair<std::string, int64_t>>& samples) {
    const std::set<std::pair<std::string, int64_t>> gone(samples.begin(), samples.end());
    for (Promise& promise : promises_) {
      std::erase_if(promise.samples, [&](const auto& sample) { return gone.contains(sample); });
    }
  }

  void Check(std::string_view when) {
    auto querier = db_->OpenQuerier(kAllTime);
    ASSERT_TRUE(querier.ok()) << when;
    std::map<std::string, std::map<int64_t, std::string>> got;
    const Status status =
        DumpSeries(**querier, kAllTime, {}, [&](std::string_view lines) -> Status {
          for (size_t at = 0; at < lines.size();) {
            const size_t end = lines.find('\n', at);
            const std::string_view line = lines.substr(at, end - at);
            const size_t time = line.rfind(' ');
            const size_t labels = line.find('}') + 1;
            got[std::string(line.substr(0, labels))]
               [std::strtoll(std::string(line.substr(time + 1)).c_str(), nullptr, 10)] =
                   std::string(line.substr(labels + 1, time - labels - 1));
            at = end + 1;
          }
          return {};
        });
    ASSERT_TRUE(status.ok()) << when << ": " << status.message();
    for (auto& [labels, samples] : model_) {
      const auto& found = got[labels];
      for (auto& [t, sample] : samples) {
        const auto at = found.find(t);
        const bool there = at != found.end();
        ASSERT_FALSE(sample.state == State::kThere && !there)
            << when << ": lost " << labels << " at " << t - kStart;
        ASSERT_FALSE(sample.state == State::kGone && there)
            << when << ": deleted, and back: " << labels << " at " << t - kStart;
        if (there) {
          ASSERT_EQ(at->second, sample.text) << when << ": " << labels << " at " << t - kStart;
        }
      }
    }
    for (const auto& [labels, samples] : got) {
      const auto known = model_.find(labels);
      for (const auto& [t, text] : samples) {
        ASSERT_TRUE(known != model_.end() && known->second.contains(t))
            << when << ": from nowhere: " << labels << " at " << t - kStart;
      }
    }
    for (const MetricValue& metric : db_->Metrics()) {
      if (metric.name == "narthex_tsdb_blocks_quarantined") {
        ASSERT_EQ(metric.value, 0) << when << ": a block of ours is damaged";
      }
    }
  }

  SimulatedDisk& disk_;
  std::unique_ptr<Db> db_;
  std::string open_error_;
  std::map<std::string, std::map<int64_t, Sample>> model_;
  std::vector<Promise> promises_;
  int64_t newest_ = INT64_MIN;
};

int FailedParts() {
  return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

TEST(DbFaults, AtEveryOperation) {
  SetLogLevel(std::getenv("NARTHEX_CRASH_LOG") != nullptr ? LogLevel::kInfo : LogLevel(4));
  uint64_t operations = 0;
  {
    SimulatedDisk disk(1);
    Workload workload(&disk);
    workload.Run();
    operations = disk.operations();
    EXPECT_GT(workload.DurableSamples(), 900U) << "or a loss of power would test nothing";
    ASSERT_NO_FATAL_FAILURE(workload.Recover(Survivors::kWritten)) << "without any fault";
  }
  EXPECT_GT(operations, 500U);
  struct Case {
    std::string_view name;
    FaultKind kind;
    bool dies;
    Survivors survivors;
    uint64_t operations = 1;
  };
  const Case cases[] = {
      {"the process dies", FaultKind::kCrash, true, Survivors::kWritten},
      {"power fails", FaultKind::kCrash, true, Survivors::kSynced},
      {"power fails, torn", FaultKind::kCrash, true, Survivors::kTorn},
      {"one error", FaultKind::kError, false, Survivors::kWritten},
      {"full for a moment", FaultKind::kNoSpace, false, Survivors::kWritten, 3},
      {"full for long", FaultKind::kNoSpace, false, Survivors::kWritten, 60},
      {"a sync fails", FaultKind::kSyncError, false, Survivors::kWritten},
      {"a sync fails, then power", FaultKind::kSyncError, true, Survivors::kSynced},
  };
  const uint64_t stride = NumberFrom("NARTHEX_CRASH_STRIDE", 97);
  const uint64_t seeds = NumberFrom("NARTHEX_CRASH_SEEDS", 1);
  const char* only = std::getenv("NARTHEX_CRASH_CASE");
  const uint64_t first = NumberFrom("NARTHEX_CRASH_FIRST", 0);
  uint64_t runs = 0;
  int failures = 0;
  int failed_parts = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    uint64_t start = first;
    for (const Case& c : cases) {
      if (only != nullptr && c.name != only) continue;
      for (uint64_t at = start; at < operations; at += stride) {
        SCOPED_TRACE(fmt::format("{}, operation {} of {}, seed {}", c.name, at, operations, seed));
        SimulatedDisk disk(seed * 1'000'003 + at);
        disk.Schedule({.kind = c.kind, .operation = at, .operations = c.operations});
        Workload workload(&disk);
        workload.Run();
        if (c.dies) {
          workload.Recover(c.survivors);
        } else {
          workload.Survive();
        }
        ++runs;
        if (const int parts = FailedParts(); parts > failed_parts) {
          failed_parts = parts;
          std::cerr << "struck: " << disk.struck_operation() << "\n";
          ASSERT_LT(++failures, 10) << "and so on";
        }
      }
      // Other cases take other operations.
      if (stride > 1) start = (start + 5) % stride;
    }
  }
  RecordProperty("runs", std::to_string(runs));
}

}  // namespace
}  // namespace narthex::tsdb
