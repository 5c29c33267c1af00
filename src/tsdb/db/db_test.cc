#include "tsdb/db/db.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tsdb/db/dump.h"
#include "util/compress.h"
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
