#include "promql/engine/query_gate.h"

#include <gtest/gtest.h>

#include <thread>

#include "promql/engine/query_log.h"
#include "util/file.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

constexpr int64_t kLong = 60'000'000'000;

std::string ReadActive(const std::string& folder) {
  return *FileSystem::Posix().ReadAll(JoinPath(folder, "queries.active"));
}

TEST(QueryGate, WritesRunningQueriesIntoTheirSlots) {
  TemporaryDirectory folder;
  const auto gate = *QueryGate::Open(folder.path(), 3);
  const int64_t deadline = MonotonicNanos() + kLong;
  const size_t first = *gate->Enter("up", {}, deadline);
  const size_t second = *gate->Enter("sum(\"<x>\")", {}, deadline);
  std::string file = ReadActive(folder.path());
  ASSERT_EQ(file.size(), 3001u);
  EXPECT_EQ(file[0], '[');
  EXPECT_TRUE(file.substr(1 + 1000 * first).starts_with("{\"query\":\"up\",\"timestamp_sec\":"));
  EXPECT_TRUE(file.substr(1 + 1000 * second)
                  .starts_with("{\"query\":\"sum(\\\"\\u003cx\\u003e\\\")\",\"timestamp_sec\":"));
  EXPECT_EQ(file[1 + 1000 * first + 999], ',');
  gate->Leave(first);
  gate->Leave(second);
  file = ReadActive(folder.path());
  EXPECT_EQ(file.substr(1), std::string(3000, '\0'));
}

TEST(QueryGate, CutsLongQueriesBetweenRunes) {
  TemporaryDirectory folder;
  const auto gate = *QueryGate::Open(folder.path(), 1);
  std::string query;
  for (int i = 0; i < 600; ++i) query += "ä";
  ASSERT_TRUE(gate->Enter(query, {}, MonotonicNanos() + kLong).ok());
  const std::string file = ReadActive(folder.path());
  const std::string entry =
      file.substr(1, file.find('\0') == std::string::npos ? 999 : file.find('\0') - 1);
  EXPECT_LE(entry.size(), 1000u);
  EXPECT_NE(entry.find("ä\",\"timestamp_sec\":"), std::string::npos);
}

TEST(QueryGate, BoundsConcurrencyAndGivesUp) {
  QueryGate gate(1);
  const size_t slot = *gate.Enter("a", {}, MonotonicNanos() + kLong);
  EXPECT_EQ(gate.Enter("b", {}, MonotonicNanos() + 1'000'000).status(),
            Status(ErrorCode::kTimeout, "context deadline exceeded"));
  std::stop_source stop;
  std::thread canceler([&stop] { stop.request_stop(); });
  EXPECT_EQ(gate.Enter("c", stop.get_token(), MonotonicNanos() + kLong).status(),
            Status(ErrorCode::kCanceled, "context canceled"));
  canceler.join();
  std::thread leaver([&gate, slot] { gate.Leave(slot); });
  EXPECT_TRUE(gate.Enter("d", {}, MonotonicNanos() + kLong).ok());
  leaver.join();
}

TEST(QueryLog, LineHasUpstreamsKeysInOrder) {
  QueryStats stats;
  stats.timings.eval_total = 1'500'000;
  stats.total_queryable_samples = 7;
  stats.samples_read = 6;
  stats.series_touched = 2;
  stats.peak_samples = 5;
  stats.total_queryable_samples_per_step = {{1000, 3}, {1500, 4}};
  const QueryOrigin origin{"httpRequest", {{"clientIP", "127.0.0.1"}, {"path", "/api/v1/query"}}};
  QueryLogEntry entry{.query = "sum(a < \"b\")",
                      .start_ms = 1'000,
                      .end_ms = 61'500,
                      .step_ms = 15'000,
                      .status = Status(ErrorCode::kExecution, "broken"),
                      .stats = &stats,
                      .origin = &origin};
  EXPECT_EQ(
      QueryLogLine(entry, 1'700'000'000'500'000'000),
      "{\"time\":\"2023-11-14T22:13:20.5Z\",\"level\":\"INFO\",\"source\":\"query_log.cc:1\","
      "\"msg\":\"promql query logged\",\"params\":{\"end\":\"1970-01-01T00:01:01.500Z\","
      "\"query\":\"sum(a < \\\"b\\\")\",\"start\":\"1970-01-01T00:00:01.000Z\",\"step\":15},"
      "\"error\":\"broken\",\"stats\":{\"timings\":{\"evalTotalTime\":0.0015,"
      "\"resultSortTime\":0,\"queryPreparationTime\":0,\"innerEvalTime\":0,\"execQueueTime\":0,"
      "\"execTotalTime\":0},\"samples\":{\"totalQueryableSamplesPerStep\":[[1,3],[1.5,4]],"
      "\"totalQueryableSamples\":7,\"samplesRead\":6,\"seriesTouched\":2,\"peakSamples\":5}},"
      "\"httpRequest\":{\"clientIP\":\"127.0.0.1\",\"path\":\"/api/v1/query\"}}\n");
}

TEST(QueryLog, AppendsToItsFile) {
  TemporaryDirectory folder;
  const std::string path = JoinPath(folder.path(), "query.log");
  QueryStats stats;
  for (int i = 0; i < 2; ++i) {
    const auto log = *QueryLog::Open(path);
    EXPECT_TRUE(log->Write({.query = "up", .stats = &stats}).ok());
  }
  const std::string text = *FileSystem::Posix().ReadAll(path);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_TRUE(QueryLog::Open(JoinPath(folder.path(), "no/such/folder"))
                  .status()
                  .message()
                  .starts_with("can't create json log file: "));
}

}  // namespace
}  // namespace narthex::promql
