#include "tsdb/db/db.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tsdb/db/dump.h"
#include "util/numbers.h"

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

}  // namespace
}  // namespace narthex::tsdb
