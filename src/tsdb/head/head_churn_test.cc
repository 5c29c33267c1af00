// A head under churn holds no more after the fifth cut than after the second.
#include <gtest/gtest.h>

#include "tsdb/head/churn_testing.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

TEST(HeadChurn, MemoryStaysFlat) {
  SetLogLevel(LogLevel::kError);
  const ChurnResult result = RunChurn(4000, 60, true);
  ASSERT_TRUE(result.ok);
  ASSERT_GE(result.series.size(), 4u);
  EXPECT_GT(result.queries, 0u);
  // CPU time, so that a busy machine does not count; a sanitizer may take several times as long.
  EXPECT_LT(result.hold_cpu_max, 50'000'000);
  for (size_t i = 2; i < result.series.size(); ++i) {
    EXPECT_EQ(result.series[i], result.series[1]) << i;
    EXPECT_LE(result.slab_bytes[i], result.slab_bytes[1] * 11 / 10) << i;
    EXPECT_LE(result.symbol_bytes[i], result.symbol_bytes[1] * 11 / 10) << i;
  }
}

}  // namespace
}  // namespace narthex::tsdb
