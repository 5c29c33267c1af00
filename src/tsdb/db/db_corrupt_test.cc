// Databases that the real TSDB wrote and something damaged: we lose no more than it does.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "tsdb/db/db.h"
#include "tsdb/db/fast_files_for_test.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};

std::filesystem::path ConformanceDirectory() {
  if (const char* set = std::getenv("NARTHEX_CONFORMANCE_DIR")) return set;
  return std::filesystem::path(NARTHEX_SOURCE_DIR).parent_path() / "shared" / "conformance";
}

using Counts = std::map<std::string, uint64_t>;

struct Expected {
  bool opens = false;
  Counts per_metric;
};

Expected ParseExpected(simdjson::dom::object open) {
  Expected expected;
  simdjson::dom::object counts;
  if (open["per_metric"].get(counts) != simdjson::SUCCESS) return expected;
  expected.opens = true;
  for (const auto& [name, count] : counts) {
    expected.per_metric[std::string(name)] = uint64_t(count);
  }
  return expected;
}

// Readable samples a metric; series that give an error count as far as they go.
Result<Counts> OpenAndCount(const std::string& path, size_t* quarantined) {
  FastFiles files;
  DbOptions options;
  options.path = path;
  options.background = false;
  options.file_system = &files;
  options.reloadable.retention_ms = 0;
  options.reloadable.out_of_order_window_ms = 3'600'000;
  NARTHEX_TRY(const std::unique_ptr<Db> db, Db::Open(std::move(options)));
  NARTHEX_TRY(const std::unique_ptr<storage::Querier> querier, db->OpenQuerier(kAllTime));
  storage::SelectHints hints;
  hints.start_ms = kAllTime.start_ms;
  hints.end_ms = kAllTime.end_ms;
  NARTHEX_TRY(const std::unique_ptr<storage::SeriesSet> set,
              querier->Select(storage::SeriesOrder::kSorted, hints, {}));
  Counts counts;
  while (const std::unique_ptr<storage::Series> series = set->Next()) {
    storage::SampleColumns columns;
    static_cast<void>(series->Read(&columns));
    counts[std::string(series->labels().metric_name())] += columns.size();
  }
  for (const MetricValue& metric : db->Metrics()) {
    if (metric.name == "narthex_tsdb_blocks_quarantined") {
      *quarantined = static_cast<size_t>(metric.value);
    }
  }
  return counts;
}

void ExpectAtLeast(const Counts& got, const Counts& want) {
  for (const auto& [metric, count] : want) {
    const auto found = got.find(metric);
    EXPECT_GE(found == got.end() ? 0 : found->second, count) << metric;
  }
}

TEST(DbConformance, DamageLosesNoMoreThanUpstream) {
  SetLogLevel(LogLevel::kError);
  const std::filesystem::path folder = ConformanceDirectory() / "tsdb" / "corrupt";
  if (!std::filesystem::exists(folder / "expected.jsonl")) {
    GTEST_SKIP() << "no conformance data at " << ConformanceDirectory();
  }
  simdjson::dom::parser parser;
  simdjson::dom::document_stream cases;
  ASSERT_EQ(parser.load_many((folder / "expected.jsonl").string()).get(cases), simdjson::SUCCESS);
  size_t count = 0;
  for (simdjson::dom::element element : cases) {
    const simdjson::dom::object c = element;
    std::string_view name;
    ASSERT_EQ(c["name"].get(name), simdjson::SUCCESS);
    SCOPED_TRACE(std::string(name));
    ++count;
    const TemporaryDirectory directory;
    const std::string untar =
        "tar --zstd -xf '" + (folder / std::string(std::string_view(c["archive"]))).string() +
        "' -C '" + directory.path() + "' && chmod -R u+w '" + directory.path() + "'";
    ASSERT_EQ(std::system(untar.c_str()), 0);
    const Expected first = ParseExpected(c["first_open"]);
    simdjson::dom::object second_object;
    Expected second = first;
    if (c["second_open"].get(second_object) == simdjson::SUCCESS) {
      second = ParseExpected(second_object);
    }
    size_t quarantined = 0;
    const Result<Counts> got = OpenAndCount(directory.path(), &quarantined);
    if (!first.opens) {
      // Upstream refuses. We refuse too, or serve the rest and say so.
      if (got.ok()) EXPECT_GT(quarantined, 0U);
      continue;
    }
    ASSERT_TRUE(got.ok()) << got.status().message();
    ExpectAtLeast(*got, first.per_metric);
    const Result<Counts> again = OpenAndCount(directory.path(), &quarantined);
    ASSERT_TRUE(again.ok()) << again.status().message();
    ExpectAtLeast(*again, second.per_metric);
    if (name == "clean") EXPECT_EQ(*got, first.per_metric);
  }
  EXPECT_EQ(count, 27U);
}

}  // namespace
}  // namespace narthex::tsdb
