// Random histories of a database against a map in memory: append, go stale, delete, compact, clean
// tombstones, close and open, crash. Whatever happened, a query gives what the map holds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tsdb/db/db.h"
#include "tsdb/db/dump.h"
#include "tsdb/db/fast_files_for_test.h"
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
  History(uint64_t seed, const std::string& path) : random_(seed), path_(path) { Open(); }

  void Step() {
    const uint64_t dice = random_() % 1000;
    if (dice < 900) {
      Append();
    } else if (dice < 930) {
      Delete();
    } else if (dice < 960) {
      ASSERT_TRUE(db_->Tick().ok());
    } else if (dice < 970) {
      const Status cleaned = db_->CleanTombstones();
      ASSERT_TRUE(cleaned.ok()) << cleaned.message();
    } else if (dice < 985) {
      db_.reset();
      Open();
    } else {
      Crash();
    }
    if (dice >= 900 || dice % 50 == 0) Check();
  }

  void Check() {
    auto querier = db_->OpenQuerier(kAllTime);
    ASSERT_TRUE(querier.ok());
    std::string got;
    const Status status = DumpSeries(**querier, kAllTime, {}, [&](std::string_view line) -> Status {
      got += line;
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.message();
    std::string want;
    for (const auto& [labels, samples] : model_) {
      for (const auto& [t, text] : samples) {
        want += labels.ToString() + " " + text + " " + std::to_string(t) + "\n";
      }
    }
    if (got == want) return;
    size_t at = 0;
    while (at < got.size() && at < want.size() && got[at] == want[at]) ++at;
    const size_t line = got.rfind('\n', at) + 1;
    FAIL() << "got  " << got.substr(line, got.find('\n', at) - line) << "\nwant "
           << want.substr(line, want.find('\n', at) - line) << "\nof " << got.size() << " and "
           << want.size() << " bytes, operation " << operations_;
  }

  size_t block_count() const { return db_->Blocks().size(); }
  size_t operations_ = 0;

 private:
  void Open() {
    DbOptions options;
    options.path = path_;
    options.background = false;
    options.file_system = &files_;
    options.reloadable.retention_ms = 0;
    options.min_block_duration_ms = kBlockMs;
    options.max_block_duration_ms = kBlockMs * 9;
    options.wal_segment_bytes = 64 << 10;
    options.samples_per_chunk = 20;
    options.reloadable.float_encoding =
        random_() % 2 == 0 ? FloatEncoding::kXor : FloatEncoding::kXor2;
    auto db = Db::Open(std::move(options));
    ASSERT_TRUE(db.ok()) << db.status().message();
    db_ = *std::move(db);
  }

  // The process dies: whatever reached the files is there, nothing is closed.
  void Crash() {
    const std::string copy = path_ + "-copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(path_, copy, std::filesystem::copy_options::recursive);
    db_.reset();
    std::filesystem::remove_all(path_);
    std::filesystem::rename(copy, path_);
    std::filesystem::remove(path_ + "/lock");
    Open();
  }

  Labels SeriesLabels(int64_t n) const {
    return Labels{{"__name__", "m" + std::to_string(n % 3)}, {"i", std::to_string(n)}};
  }

  void Append() {
    now_ms_ += 5'000 + static_cast<int64_t>(random_() % 20'000);
    auto appender = db_->NewAppender();
    std::vector<std::tuple<Labels, int64_t, std::string>> added;
    std::set<Labels> used;
    const uint64_t count = 1 + random_() % 30;
    for (uint64_t i = 0; i < count; ++i) {
      const Labels labels = SeriesLabels(static_cast<int64_t>(random_() % 40));
      // A series that changes its kind gets one sample a commit: of more, which one is refused
      // depends on the batches that upstream's rules make.
      const bool mixed = labels.Get("i").back() == '7';
      if (mixed && !used.insert(labels).second) continue;
      // Most at the time of the scrape, some late, some twice.
      int64_t t = now_ms_ + static_cast<int64_t>(random_() % 3) * 1000;
      if (random_() % 20 == 0) t -= static_cast<int64_t>(random_() % 2'000'000);
      const bool histogram = mixed && random_() % 4 != 0;
      Result<storage::SeriesRef> ref = storage::SeriesRef{0};
      std::string text;
      if (histogram) {
        const Histogram h = RandomHistogram(random_);
        ref = appender->AppendHistogram(0, labels, t, h, {});
        text = h.ToString();
      } else {
        const double v = random_() % 15 == 0 ? StaleNan() : static_cast<double>(random_() % 100);
        ref = appender->Append(0, labels, t, v, {});
        text = IsStaleNan(v) ? "stale" : FormatFloatG(v);
      }
      if (ref.ok()) {
        added.emplace_back(labels, t, text);
      } else {
        const ErrorCode code = ref.status().code();
        ASSERT_TRUE(code == ErrorCode::kOutOfBounds || code == ErrorCode::kOutOfOrderSample ||
                    code == ErrorCode::kDuplicateSample)
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
      if (t <= newest) continue;
      newest = t;
      bool& was_histogram = last_is_histogram_[labels];
      if (text == "stale") {
        // A stale marker takes the kind of the series.
        text = was_histogram ? "{count:0, sum:NaN}" : "NaN";
      } else {
        was_histogram = text.front() == '{';
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

  FastFiles files_;
  std::mt19937_64 random_;
  std::string path_;
  std::unique_ptr<Db> db_;
  std::map<Labels, std::map<int64_t, std::string>> model_;
  std::map<Labels, int64_t> newest_;
  std::map<Labels, bool> last_is_histogram_;
  int64_t now_ms_ = 1'700'000'000'000;
};

TEST(DbModel, RandomHistories) {
  SetLogLevel(LogLevel::kError);
  const char* set = std::getenv("NARTHEX_TEST_SEED");
  const uint64_t first = set != nullptr ? std::strtoull(set, nullptr, 10) : 1;
  const uint64_t last = set != nullptr ? first : 8;
  size_t blocks = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE("NARTHEX_TEST_SEED=" + std::to_string(seed));
    const TemporaryDirectory directory;
    History history(seed, directory.path() + "/data");
    for (; history.operations_ < 600; ++history.operations_) {
      ASSERT_NO_FATAL_FAILURE(history.Step());
    }
    ASSERT_NO_FATAL_FAILURE(history.Check());
    blocks += history.block_count();
  }
  if (set == nullptr) EXPECT_GT(blocks, 4U);
}

}  // namespace
}  // namespace narthex::tsdb
