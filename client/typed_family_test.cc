// Families with labels as types, look-ups by name, helpers for tests, files of metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "narthex/client.h"
#include "narthex/client/testing.h"

namespace narthex::client {
namespace {

using testing::HasSubstr;

struct Method {
  static constexpr std::string_view kName = "method";
  enum Value { kGet, kPost };
  static constexpr std::string_view kValues[] = {"GET", "POST"};
};
struct Cached {
  static constexpr std::string_view kName = "cached";
  enum class Value { kNo, kYes };
  static constexpr std::string_view kValues[] = {"no", "yes"};
};
struct Path {
  static constexpr std::string_view kName = "path";
};

using Listed = TypedFamily<Counter, Method, Cached>;
using Mixed = TypedFamily<Counter, Method, Path>;

// What must not compile.
static_assert(std::is_invocable_v<Mixed, Method::Value, const char*>);
static_assert(std::is_invocable_v<Mixed, Method::Value, int>);
static_assert(!std::is_invocable_v<Mixed, Method::Value>);
static_assert(!std::is_invocable_v<Mixed, Method::Value, const char*, const char*>);
static_assert(!std::is_invocable_v<Mixed, const char*, const char*>);
static_assert(!std::is_invocable_v<Mixed, Method::Value, double>);
static_assert(!std::is_invocable_v<Listed, Cached::Value, Method::Value>);
static_assert(
    std::is_same_v<std::invoke_result_t<Listed, Method::Value, Cached::Value>, const Counter&>);

TEST(TypedFamily, FindsSeriesByListedAndFreeValues) {
  Registry registry;
  const Listed listed(registry, {"listed_total", "L."});
  EXPECT_EQ(SeriesCount(registry, "listed_total"), 0u);
  listed(Method::kPost, Cached::Value::kYes).Inc();
  listed(Method::kPost, Cached::Value::kYes).Inc();
  EXPECT_EQ(&listed(Method::kPost, Cached::Value::kYes),
            &listed(Method::kPost, Cached::Value::kYes));
  const Mixed mixed(registry, {"mixed_total", "M."});
  mixed(Method::kGet, "/a").Inc();
  mixed(Method::kGet, std::string("/a")).Inc();
  mixed(Method::kGet, -200).Inc();
  EXPECT_TRUE(mixed.family().Remove({"GET", "-200"}));
  const StaticFamily<Gauge, "a", "b"> gauges(registry, {"g", "G."});
  gauges("x", 200u).Set(5);
  EXPECT_EQ(PageDifference(registry,
                           "# HELP g G.\n# TYPE g gauge\ng{a=\"x\",b=\"200\"} 5\n"
                           "# HELP listed_total L.\n# TYPE listed_total counter\n"
                           "listed_total{cached=\"yes\",method=\"POST\"} 2\n"
                           "# HELP mixed_total M.\n# TYPE mixed_total counter\n"
                           "mixed_total{method=\"GET\",path=\"/a\"} 2\n"),
            "");
  EXPECT_THAT(Listed::Declare(&registry, {"g", "G."}).status().message(),
              HasSubstr("has different label names"));
}

TEST(TypedFamily, ThreadsShareOneTable) {
  Registry registry;
  const Listed listed(registry, {"listed_total", "L."});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        listed(k % 2 == 0 ? Method::kGet : Method::kPost, Cached::Value::kNo).Inc();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(SampleValue(registry, "listed_total", {{"method", "GET"}, {"cached", "no"}}), 4000);
  EXPECT_EQ(SampleValue(registry, "listed_total", {{"method", "POST"}, {"cached", "no"}}), 4000);
}

TEST(Family, IsAskedByNames) {
  Registry registry;
  const Family<Counter> family(registry, {"c_total", "C."}, {"a", "b"});
  family.WithNamedLabels({{"b", "2"}, {"a", "1"}})->Inc();
  EXPECT_EQ(family.WithLabels({"1", "2"}).Value(), 1);
  EXPECT_EQ(family.WithNamedLabels({{"a", "1"}}).status().message(),
            "inconsistent label cardinality: expected 2 label values but got 1");
  EXPECT_EQ(family.WithNamedLabels({{"a", "1"}, {"c", "2"}}).status().message(),
            "label name \"b\" missing in label map");
}

TEST(Testing, FindsSamplesOfEveryKind) {
  Registry registry;
  const Counter counter(registry, {"c_total", "C."});
  counter.Inc(3);
  const Histogram histogram(registry, {"h", "H."}, HistogramOptions{}.WithBuckets({1, 2}));
  histogram.Observe(1.5);
  histogram.Observe(5);
  const Summary summary(registry, {"s", "S."}, SummaryOptions{{{0.5, 0.05}}});
  summary.Observe(4);
  const Gauge gauge(registry, {"h_other", "Begins as the histogram does."});
  struct Case {
    const char* name;
    Labels labels;
    std::optional<double> want;
  };
  for (const Case& c : {
           Case{"c_total", {}, 3},
           Case{"c_total", {{"a", "b"}}, std::nullopt},
           Case{"c", {}, std::nullopt},
           Case{"h_sum", {}, 6.5},
           Case{"h_count", {}, 2},
           Case{"h_bucket", {{"le", "1"}}, 0},
           Case{"h_bucket", {{"le", "2.0"}}, 1},
           Case{"h_bucket", {{"le", "+Inf"}}, 2},
           Case{"h_bucket", {{"le", "3"}}, std::nullopt},
           Case{"h_bucket", {{"le", "x"}}, std::nullopt},
           Case{"h_other", {}, 0},
           Case{"s", {{"quantile", "0.5"}}, 4},
           Case{"s", {}, std::nullopt},
           Case{"s_count", {}, 1},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(SampleValue(registry, c.name, c.labels), c.want);
  }
  EXPECT_EQ(SeriesCount(registry), 4u);
  EXPECT_EQ(PageDifference(registry, "# HELP c_total C.\n# TYPE c_total counter\nc_total 3\n",
                           {"c_total"}),
            "");
  EXPECT_THAT(PageDifference(registry, "# TYPE c_total counter\nc_total 4\n", {"c_total"}),
              HasSubstr("c_total 3\nwant:\n# TYPE c_total counter\nc_total 4\n"));
  EXPECT_THAT(PageDifference(registry, "nonsense"), HasSubstr("text format parsing error"));
}

TEST(Textfile, IsReplacedAsAWhole) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("textfile_test." + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = folder / "job.prom";
  Registry registry;
  const Gauge gauge(registry, {"g", "G."});
  for (const char* want : {"g 1\n", "g 2\n"}) {
    gauge.Inc();
    ASSERT_TRUE(WriteTextfile(registry, path).ok());
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    EXPECT_EQ(text.str(), std::string("# HELP g G.\n# TYPE g gauge\n") + want);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_THAT(WriteTextfile(registry, folder / "none" / "x.prom").message(),
              HasSubstr("No such file or directory"));
  std::filesystem::remove_all(folder);
}

TEST(PlatformCollector, NamesWhatItRunsOn) {
  Registry registry;
  ASSERT_TRUE(registry.Register(MakePlatformCollector()).ok());
  const std::string page = Scrape(registry, "").body;
  EXPECT_THAT(page, HasSubstr("cpp_info{arch=\""));
  EXPECT_THAT(page, HasSubstr("libc=\"glibc 2."));
  const auto before = SampleValue(registry, "cpp_malloc_used_bytes");
  if (!before) GTEST_SKIP() << "another allocator stands in malloc's place";
  const std::vector<char> held(32 << 20, 'x');
  const volatile char* const seen = held.data();  // Otherwise the compiler would leave it out.
  EXPECT_EQ(seen[1], 'x');
  EXPECT_GE(*SampleValue(registry, "cpp_malloc_used_bytes"), *before + (30 << 20));
}

}  // namespace
}  // namespace narthex::client
