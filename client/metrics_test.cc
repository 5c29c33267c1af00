// Metrics, families and the registry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "narthex/client.h"
#include "native_buckets.h"

namespace narthex::client {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename F>
void InThreads(int count, const F& function) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&, i] { function(i); });
  for (std::thread& thread : threads) thread.join();
}

std::string Page(const Registry& registry) {
  return Scrape(registry, "").body;
}

TEST(Counter, CountsAndRefusesToFall) {
  const Counter c = *Counter::Declare(nullptr, {"c_total", "C."});
  c.Inc();
  EXPECT_TRUE(c.Inc(2.5));
  EXPECT_TRUE(c.Inc(0));
  EXPECT_FALSE(c.Inc(-1));
  EXPECT_FALSE(c.Inc(std::nan("")));
  ++c;
  c += 0.25;
  EXPECT_EQ(c.Value(), 4.75);
  EXPECT_TRUE(c.Inc(1e300));
  EXPECT_EQ(c.Value(), 1e300);

  const Counter nothing;
  nothing.Inc();
  EXPECT_EQ(nothing.Value(), 0);
}

TEST(Counter, TotalsAreExactFromManyThreads) {
  constexpr int kThreads = 8;
  constexpr int kTimes = 50'000;
  const Counter whole = *Counter::Declare(nullptr, {"whole_total", "W."});
  const Counter halves = *Counter::Declare(nullptr, {"halves_total", "H."});
  InThreads(kThreads, [&](int) {
    for (int i = 0; i < kTimes; ++i) {
      whole.Inc();
      halves.Inc(0.5);
    }
  });
  EXPECT_EQ(whole.Value(), kThreads * kTimes);
  EXPECT_EQ(halves.Value(), kThreads * kTimes * 0.5);
}

TEST(CounterCell, SpreadsOnlyUnderContention) {
  detail::CounterCell calm;
  for (int i = 0; i < 1000; ++i) calm.Add(1);
  EXPECT_FALSE(calm.spread());
  EXPECT_EQ(calm.Value(), 1000);

  // Other threads, one after the other: each gets the number of the one before, and with it what
  // that one owned.
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      for (int k = 0; k < 100; ++k) calm.Add(1);
    }).join();
  }
  EXPECT_FALSE(calm.spread());
  EXPECT_EQ(calm.Value(), 3000);

  // Two threads that add without pause; one of them does not own the counter.
  detail::CounterCell hot;
  InThreads(2, [&](int) {
    for (int i = 0; i < 20'000'000 && !hot.spread(); ++i) hot.AddFraction(0.25);
    for (int i = 0; i < 1000; ++i) hot.Add(1);
  });
  EXPECT_TRUE(hot.spread());
  const double before = hot.Value();
  // More threads at a time than there are cells.
  InThreads(300, [&](int) {
    for (int i = 0; i < 100; ++i) hot.Add(1);
    for (int i = 0; i < 100; ++i) hot.AddFraction(0.5);
  });
  EXPECT_EQ(hot.Value(), before + 300 * 150);
}

// Counts from the destructor of a thread-local object, when the thread has given back its number.
TEST(CounterCell, CountsWhileAThreadEnds) {
  struct CountsLate {
    detail::CounterCell* cell = nullptr;
    ~CountsLate() { cell->Add(7); }
  };
  detail::CounterCell cell;
  std::thread([&] {
    static thread_local CountsLate late;  // Made before the number, so destroyed after it.
    late.cell = &cell;
    cell.Add(1);
  }).join();
  EXPECT_EQ(cell.Value(), 8);
}

TEST(Gauge, SetsAddsAndTracks) {
  const Gauge g = *Gauge::Declare(nullptr, {"g", "G."});
  g.Set(5);
  g.Inc(2);
  g.Dec();
  EXPECT_EQ(g.Value(), 6);
  {
    const auto guard = g.Track();
    EXPECT_EQ(g.Value(), 7);
  }
  EXPECT_EQ(g.Value(), 6);
  g.SetToCurrentTime();
  EXPECT_GT(g.Value(), 1.6e9);
}

TEST(Exemplar, IsCheckedButTheIncrementCounts) {
  const Counter c = *Counter::Declare(nullptr, {"c_total", "C."});
  EXPECT_TRUE(c.IncWithExemplar(1, {{"trace_id", "abc"}}).ok());
  const std::string long_value(121, 'x');
  const Status status = c.IncWithExemplar(1, {{"trace_id", long_value}});
  EXPECT_EQ(status.message(), "exemplar labels have 129 runes, exceeding the limit of 128");
  EXPECT_EQ(c.IncWithExemplar(1, {{"", "x"}}).message(), "exemplar label name \"\" is invalid");
  EXPECT_EQ(c.IncWithExemplar(1, {{"a", "\xff"}}).message(),
            "exemplar label value \"\\xff\" is not valid UTF-8");
  EXPECT_EQ(c.Value(), 4);
}

TEST(Exemplar, HookIsAskedOncePerBucketAndInterval) {
  static thread_local const char* trace = nullptr;
  int calls = 0;
  SetExemplarHook(
      [&](Labels& labels) {
        ++calls;
        if (trace == nullptr) return false;
        if (*trace == '!') throw std::runtime_error("no trace");
        labels = {{"trace_id", trace}};
        return true;
      },
      hours(1));
  Registry registry;
  const Counter c(registry, {"c_total", "C."});
  const Histogram h(registry, {"h", "H."}, HistogramOptions{}.WithBuckets({1, 2}));
  c.Inc();
  trace = "!";
  c.Inc();
  trace = "t1";
  c.Inc(2.5);
  h.Observe(1.5);
  trace = "t2";  // Too early for all but the two other buckets.
  c.Inc();
  h.Observe(1.25);
  h.Observe(0.5);
  h.Observe(9);
  SetExemplarHook(nullptr);
  trace = "t3";
  h.Observe(1);
  EXPECT_EQ(calls, 6);
  std::string page = Scrape(registry, "application/openmetrics-text;version=1.0.0").body;
  // The time of day is of no interest here.
  for (size_t at = 0; (at = page.find("} ", page.find(" # {", at))) != std::string::npos;) {
    at = page.find(' ', at + 2);
    page.erase(at, page.find('\n', at) - at);
  }
  EXPECT_EQ(page,
            "# HELP c C.\n# TYPE c counter\nc_total 5.5 # {trace_id=\"t1\"} 2.5\n"
            "# HELP h H.\n# TYPE h histogram\n"
            "h_bucket{le=\"1.0\"} 2 # {trace_id=\"t2\"} 0.5\n"
            "h_bucket{le=\"2.0\"} 4 # {trace_id=\"t1\"} 1.5\n"
            "h_bucket{le=\"+Inf\"} 5 # {trace_id=\"t2\"} 9.0\n"
            "h_sum 13.25\nh_count 5\n# EOF\n");
}

TEST(Family, SeriesComeAndGo) {
  Registry registry;
  const Family<Counter> family(registry, {"f_total", "F.", {}, {{"zone", "z"}}}, {"b", "a"});
  EXPECT_EQ(Page(registry), "");
  family.WithLabels({"1", "2"}).Inc();
  family.WithLabels({"1", "2"}).Inc();
  family.WithLabels({"0", "3"});
  const Counter held = family.WithLabels({"9", "9"});
  EXPECT_EQ(Page(registry),
            "# HELP f_total F.\n# TYPE f_total counter\n"
            "f_total{a=\"2\",b=\"1\",zone=\"z\"} 2\n"
            "f_total{a=\"3\",b=\"0\",zone=\"z\"} 0\n"
            "f_total{a=\"9\",b=\"9\",zone=\"z\"} 0\n");
  EXPECT_TRUE(family.Remove({"9", "9"}));
  EXPECT_FALSE(family.Remove({"9", "9"}));
  held.Inc();  // Counts for nobody.
  EXPECT_EQ(family.RemoveMatching({{"b", "1"}}), 1u);
  EXPECT_EQ(family.RemoveMatching({{"b", "1"}}), 0u);
  EXPECT_EQ(family.size(), 1u);
  family.Clear();
  EXPECT_EQ(Page(registry), "");
}

TEST(Family, BoundsItsSeries) {
  Registry registry;
  MetricOptions options{"c_total", "C."};
  options.series_max = 3;
  const Family<Counter> family(registry, options, {"a", "b"});
  for (int i = 0; i < 10; ++i) family.WithLabels({std::to_string(i), "x"}).Inc();
  family.WithLabels({"1", "x"}).Inc();
  const std::string overflow = "c_total{a=\"overflow\",b=\"overflow\"} ";
  const std::string begin = "# HELP c_total C.\n# TYPE c_total counter\n";
  EXPECT_EQ(Page(registry), begin +
                                "c_total{a=\"0\",b=\"x\"} 1\nc_total{a=\"1\",b=\"x\"} 2\n"
                                "c_total{a=\"2\",b=\"x\"} 1\n" +
                                overflow + "7\n");
  // There is room again.
  EXPECT_TRUE(family.Remove({"0", "x"}));
  family.WithLabels({"new", "x"}).Inc();
  EXPECT_THAT(Page(registry), HasSubstr("c_total{a=\"new\",b=\"x\"} 1\n"));
  // The limit holds when threads come together, too.
  const Family<Counter> many = *Family<Counter>::Declare(nullptr, options, {"a"});
  InThreads(8, [&](int t) {
    for (int i = 0; i < 500; ++i) many.WithLabels({std::to_string(i * 8 + t)}).Inc();
  });
  EXPECT_EQ(many.size(), 4u);
}

TEST(Family, ChecksLabelValues) {
  const Family<Gauge> family = *Family<Gauge>::Declare(nullptr, {"f", "F."}, {"l"});
  EXPECT_EQ(family.TryWithLabels({"a", "b"}).status().message(),
            "inconsistent label cardinality: expected 1 label values but got 2 in "
            "[]string{\"a\", \"b\"}");
  EXPECT_EQ(family.TryWithLabels({"\xff"}).status().message(),
            "label l: value \"\\xff\" is not valid UTF-8");
  family.WithLabels({"a\xff"}).Set(1);
  EXPECT_EQ(family.WithLabels({"a\xEF\xBF\xBD"}).Value(), 1);
  EXPECT_DEATH(family.WithLabels({"a", "b"}), "inconsistent label cardinality");
}

// Against a set that is obviously right: random comings and goings, pages in between.
TEST(Family, KeepsItsChildrenInOrder) {
  std::mt19937 random(42);
  Registry registry;
  const Family<Gauge> family(registry, {"g", "G."}, {"a", "b"});
  std::map<std::pair<std::string, std::string>, double> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::string a = std::to_string(random() % 20);
    const std::string b = std::to_string(random() % 20);
    switch (random() % 8) {
      case 0:
      case 1: EXPECT_EQ(family.Remove({a, b}), model.erase({a, b}) == 1); break;
      case 2:
        if (random() % 100 == 0) {
          EXPECT_EQ(family.RemoveMatching({{"a", a}}),
                    std::erase_if(model, [&](const auto& item) { return item.first.first == a; }));
        }
        break;
      case 3: {
        if (random() % 20 != 0) break;
        std::string want = model.empty() ? "" : "# HELP g G.\n# TYPE g gauge\n";
        for (const auto& [labels, value] : model) {
          want += "g{a=\"" + labels.first + "\",b=\"" + labels.second + "\"} ";
          AppendFloat(value, want);
          want += '\n';
        }
        ASSERT_EQ(Page(registry), want) << step;
        break;
      }
      default: family.WithLabels({a, b}).Set(model[{a, b}] = step); break;
    }
    ASSERT_EQ(family.size(), model.size());
  }
}

// More children than are read in one go, while others come and go.
TEST(Family, IsReadWhileItChanges) {
  const Family<Gauge> family = *Family<Gauge>::Declare(nullptr, {"g", "G."}, {"a"});
  for (int i = 0; i < 5000; ++i) family.WithLabels({std::to_string(i)});
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) {
      family.WithLabels({"x" + std::to_string(i % 100)});
      family.Remove({"x" + std::to_string((i + 50) % 100)});
    }
  });
  for (int i = 0; i < 50; ++i) {
    std::vector<MetricFamily> out;
    family.collector()->Collect(out);
    int old = 0;
    const std::string* before = nullptr;
    for (const Metric& metric : out.at(0).metrics) {
      const std::string& value = metric.labels[0].value;
      old += value[0] != 'x';
      if (before != nullptr) ASSERT_LT(*before, value);
      before = &value;
    }
    EXPECT_EQ(old, 5000);
  }
  stop = true;
  changer.join();
}

TEST(Family, ManyThreadsMakeOneChild) {
  const Family<Counter> family = *Family<Counter>::Declare(nullptr, {"f_total", "F."}, {"l"});
  InThreads(4, [&](int) {
    for (int i = 0; i < 2000; ++i) family.WithLabels({std::to_string(i % 10)}).Inc();
  });
  double total = 0;
  for (int i = 0; i < 10; ++i) total += family.WithLabels({std::to_string(i)}).Value();
  EXPECT_EQ(family.size(), 10u);
  EXPECT_EQ(total, 8000);
}

TEST(Registry, RefusesWhatClashes) {
  struct Case {
    MetricOptions options;
    std::vector<std::string> labels;
    const char* want;  // Part of the error; empty: accepted.
  };
  Registry registry;
  const Counter there(registry, {"there_total", "T."});
  for (const Case& c : {
           Case{{"", "H."}, {}, "\"\" is not a valid metric name"},
           Case{{"a\xff", "H."}, {}, "\"a\\xff\" is not a valid metric name"},
           Case{{"m", "H."}, {"__x"}, "\"__x\" is not a valid label name for metric \"m\""},
           Case{{"m", "H.", {}, {{"x", "1"}}},
                {"x"},
                "duplicate label names in constant and variable labels for metric \"m\""},
           Case{{"there_total", "Other."}, {}, "has different label names or a different help"},
           Case{{"there_total", "T."}, {"x"}, "has different label names or a different help"},
           Case{{"there_total", "T."}, {}, ""},
           Case{{"dots.total", "T."}, {}, ""},
       }) {
    const auto got = Family<Counter>::Declare(&registry, c.options, c.labels);
    EXPECT_EQ(got.ok(), *c.want == '\0') << c.want;
    if (!got.ok()) EXPECT_THAT(got.status().message(), HasSubstr(c.want));
  }
  EXPECT_THAT(Gauge::Declare(&registry, {"there_total", "T."}).status().message(),
              HasSubstr("has another type"));
  EXPECT_EQ(Family<Histogram>::Declare(&registry, {"h", "H."}, {"le"}).status().message(),
            "\"le\" is not allowed as label name in histograms");
  EXPECT_EQ(Family<Summary>::Declare(&registry, {"s", "S."}, {"quantile"}).status().message(),
            "\"quantile\" is not allowed as label name in summaries");
  EXPECT_THAT(Histogram::Declare(&registry, {"h", "H."}, HistogramOptions{}.WithBuckets({1, 1}))
                  .status()
                  .message(),
              HasSubstr("histogram buckets must be in increasing order: 1.000000 >= 1.000000"));
  EXPECT_DEATH(Counter(registry, {"there_total", "Other."}), "narthex client: a previously");

  Registry legacy(NameValidation::kLegacy);
  EXPECT_FALSE(Counter::Declare(&legacy, {"dots.total", "T."}).ok());
}

TEST(Registry, SameDeclarationIsSameMetric) {
  Registry registry;
  const Counter a(registry, {"c_total", "C."});
  const Counter b(registry, {"c_total", "C."});
  a.Inc();
  EXPECT_EQ(b.Value(), 1);
  const Gauge east(registry, {"g", "G.", {}, {{"side", "east"}}});
  const Gauge west(registry, {"g", "G.", {}, {{"side", "west"}}});
  west.Set(1);
  EXPECT_EQ(Page(registry),
            "# HELP c_total C.\n# TYPE c_total counter\nc_total 1\n"
            "# HELP g G.\n# TYPE g gauge\ng{side=\"east\"} 0\ng{side=\"west\"} 1\n");
}

// A collector that says and does what it is told.
class FakeCollector : public Collector {
 public:
  std::vector<Description> descriptions;
  std::vector<MetricFamily> families;
  void Describe(std::vector<Description>& out) const override {
    out.insert(out.end(), descriptions.begin(), descriptions.end());
  }
  void Collect(std::vector<MetricFamily>& out) override {
    out.insert(out.end(), families.begin(), families.end());
  }
};

TEST(Registry, LeavesOutWhatIsInconsistent) {
  const auto gauge = [](LabelSet labels) {
    return Metric{std::move(labels), GaugeValue{1}, std::nullopt};
  };
  struct Case {
    const char* what;
    std::vector<MetricFamily> families;
    const char* want;
  };
  const std::vector<Case> cases = {
      {"duplicate",
       {{"m", "H", MetricType::kGauge, {}, {gauge({{"a", "b"}}), gauge({{"a", "b"}})}}},
       "collected metric \"m\" { label:{name:\"a\" value:\"b\"} gauge:{value:1}} was collected "
       "before with the same name and label values"},
      {"wrong type",
       {{"m", "H", MetricType::kCounter, {}, {gauge({})}}},
       "collected metric \"m\" { gauge:{value:1}} is not a COUNTER"},
      {"other help",
       {{"m", "H", MetricType::kGauge, {}, {gauge({})}},
        {"m", "I", MetricType::kGauge, {}, {gauge({{"a", "b"}})}}},
       "has help \"I\" but should have \"H\""},
      {"label twice",
       {{"m", "H", MetricType::kGauge, {}, {gauge({{"a", "1"}, {"b", "1"}, {"a", "2"}})}}},
       "has two or more labels with the same name: a"},
      {"bad label",
       {{"m", "H", MetricType::kGauge, {}, {gauge({{"__a", "1"}})}}},
       "has a label with an invalid name: __a"},
      {"not UTF-8",
       {{"m", "H", MetricType::kGauge, {}, {gauge({{"a", "\xff"}})}}},
       "has a label named \"a\" whose value is not utf8: \"\\xff\""},
      {"suffix",
       {{"h",
         "H",
         MetricType::kHistogram,
         {},
         {{{}, std::make_shared<const HistogramValue>(), {}}}},
        {"h_count", "H", MetricType::kGauge, {}, {gauge({})}}},
       "collected metric named \"h_count\" collides with previously collected histogram named "
       "\"h\""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Registry registry;
    const Gauge good(registry, {"good", "Good."});
    auto collector = std::make_shared<FakeCollector>();  // Unchecked.
    collector->families = c.families;
    ASSERT_TRUE(registry.Register(collector).ok());
    const GatherResult result = registry.Gather();
    EXPECT_THAT(result.errors, ElementsAre(HasSubstr(c.want)));
    EXPECT_EQ(result.families.front().name, "good");
  }
}

TEST(Registry, RegistersAndUnregistersCollectors) {
  Registry registry;
  auto collector = std::make_shared<FakeCollector>();
  collector->descriptions = {MakeDescription({"m", "H"})};
  collector->families = {{"m", "H", MetricType::kGauge, {}, {{{}, GaugeValue{3}, 99}}}};
  {
    Result<Registration> registration = registry.RegisterScoped(collector);
    ASSERT_TRUE(registration.ok());
    EXPECT_EQ(registry.Register(collector).code(), StatusCode::kAlreadyRegistered);
    EXPECT_EQ(Page(registry), "# HELP m H\n# TYPE m gauge\nm 3 99\n");
  }
  EXPECT_EQ(Page(registry), "");
  // The name is free again, also for something else.
  const Counter other(registry, {"m", "Other."});
  const Family<Counter> family(registry, {"f_total", "F."}, {"x"});
  EXPECT_TRUE(registry.Unregister(family.collector().get()));
  EXPECT_FALSE(registry.Unregister(family.collector().get()));

  Registration outlives;
  {
    Registry short_lived;
    outlives = *short_lived.RegisterScoped(collector);
  }
}

TEST(Callback, LivesAsLongAsItsObject) {
  Registry registry;
  int calls = 0;
  {
    GaugeFunc gauge(registry, {"queue", "Q."}, [&] { return ++calls; });
    const CounterFunc counter(registry, {"c_total", "C."}, [] { return 2.5; });
    GaugeFunc moved = std::move(gauge);
    EXPECT_EQ(Page(registry),
              "# HELP c_total C.\n# TYPE c_total counter\nc_total 2.5\n"
              "# HELP queue Q.\n# TYPE queue gauge\nqueue 1\n");
    moved = GaugeFunc(registry, {"other", "O."}, [] { return 1; });
    EXPECT_THAT(Page(registry), HasSubstr("other 1"));
  }
  EXPECT_EQ(Page(registry), "");
  EXPECT_EQ(calls, 1);
}

TEST(Buckets, Helpers) {
  EXPECT_THAT(LinearBuckets(-15, 5, 6), ElementsAre(-15, -10, -5, 0, 5, 10));
  EXPECT_THAT(ExponentialBuckets(100, 1.2, 3), ElementsAre(100, 120, 144));
  EXPECT_THAT(ExponentialBucketsRange(1, 100, 3),
              ElementsAre(1, 10, testing::DoubleNear(100, 1e-9)));
  EXPECT_TRUE(ExponentialBuckets(0, 2, 3).empty());
}

TEST(Histogram, ClassicBuckets) {
  Registry registry;
  const Histogram h(
      registry, {"h", "H."},
      HistogramOptions{}.WithBuckets({1, 2, std::numeric_limits<double>::infinity()}));
  for (const double v : {0.5, 1.0, 1.5, 2.5}) h.Observe(v);
  h.Observe(std::chrono::milliseconds(500));
  EXPECT_EQ(Page(registry),
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 4\n"
            "h_bucket{le=\"+Inf\"} 5\nh_sum 6\nh_count 5\n");
  h.Observe(std::nan(""));
  const HistogramValue value = h.Value();
  EXPECT_EQ(value.sample_count, 6u);
  EXPECT_EQ(value.buckets.back().cumulative_count, 4u);
  EXPECT_TRUE(std::isnan(value.sample_sum));
  EXPECT_EQ(Histogram::Declare(nullptr, {"d", "D."})->Value().buckets.size(), 11u);

  // More bounds than the linear search takes.
  const Histogram wide = *Histogram::Declare(
      nullptr, {"w", "W."}, HistogramOptions{}.WithBuckets(LinearBuckets(0, 1, 50)));
  for (const double v : {-1.0, 0.0, 0.5, 49.0, 49.5}) wide.Observe(v);
  EXPECT_EQ(wide.Value().buckets[0].cumulative_count, 2u);
  EXPECT_EQ(wide.Value().buckets[1].cumulative_count, 3u);
  EXPECT_EQ(wide.Value().buckets[49].cumulative_count, 4u);
}

TEST(Histogram, TakesObservationsByBucket) {
  const Histogram h =
      *Histogram::Declare(nullptr, {"h", "H."}, HistogramOptions{}.WithBuckets({1, 2}));
  h.Observe(1.5);
  ASSERT_TRUE(h.ObserveBuckets({1, 2, 3}, 40).ok());
  const HistogramValue value = h.Value();
  EXPECT_EQ(value.sample_count, 7u);
  EXPECT_EQ(value.sample_sum, 41.5);
  EXPECT_EQ(value.buckets[0].cumulative_count, 1u);
  EXPECT_EQ(value.buckets[1].cumulative_count, 4u);
  EXPECT_EQ(h.ObserveBuckets({1}, 1).message(), "histogram has 3 buckets but got 1");
  const Histogram native =
      *Histogram::Declare(nullptr, {"h", "H."}, HistogramOptions{}.WithNative(1.1));
  EXPECT_EQ(native.ObserveBuckets({1}, 1).message(),
            "a native histogram cannot take observations by bucket");
}

TEST(Histogram, ExemplarsStayInTheirBucket) {
  const Histogram h =
      *Histogram::Declare(nullptr, {"h", "H."}, HistogramOptions{}.WithBuckets({1}));
  ASSERT_TRUE(h.ObserveWithExemplar(0.5, {{"id", "a"}}).ok());
  ASSERT_TRUE(h.ObserveWithExemplar(0.7, {{"id", "b"}}).ok());
  ASSERT_TRUE(h.ObserveWithExemplar(7, {{"id", "c"}}).ok());
  const HistogramValue value = h.Value();
  ASSERT_EQ(value.buckets.size(), 2u);
  EXPECT_EQ(value.buckets[0].exemplar->value, 0.7);
  EXPECT_EQ(value.buckets[1].exemplar->labels[0].value, "c");
  EXPECT_EQ(value.buckets[1].cumulative_count, 3u);
}

TEST(Histogram, NothingIsLostOrHalfSeenUnderThreads) {
  const Histogram h = *Histogram::Declare(
      nullptr, {"h", "H."}, HistogramOptions{}.WithBuckets({1, 2, 3}).WithNative(1.1, 20));
  constexpr int kThreads = 6;
  constexpr int kTimes = 20'000;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const HistogramValue value = h.Value();
      // All observations are 2: half of one would break this.
      EXPECT_EQ(value.sample_sum, 2.0 * static_cast<double>(value.sample_count));
      EXPECT_EQ(value.buckets[1].cumulative_count, value.sample_count);
    }
  });
  InThreads(kThreads, [&](int) {
    for (int i = 0; i < kTimes; ++i) h.Observe(2);
  });
  done = true;
  reader.join();
  const HistogramValue value = h.Value();
  EXPECT_EQ(value.sample_count, static_cast<uint64_t>(kThreads * kTimes));
  EXPECT_THAT(value.native->positive_deltas, ElementsAre(kThreads * kTimes));
}

std::string Print(const HistogramValue& value) {
  MetricFamily family{"h", {}, MetricType::kHistogram, {}, {}};
  HistogramValue copy = value;
  copy.created.reset();
  family.metrics.push_back({{}, std::make_shared<const HistogramValue>(copy), {}});
  std::string text;
  WriteProtobufCompactMetric(family.metrics[0], text);
  return text;
}

TEST(NativeHistogram, SchemaAndKeys) {
  using namespace detail;
  EXPECT_EQ(PickSchema(1.1), 3);
  EXPECT_EQ(PickSchema(1.2), 2);
  EXPECT_EQ(PickSchema(4), -1);
  EXPECT_EQ(PickSchema(65536), -4);
  EXPECT_EQ(PickSchema(1.0001), 8);
  EXPECT_EQ(PickSchema(1e300), -4);
  EXPECT_EQ(BucketKey(1, 3), 0);
  EXPECT_EQ(BucketKey(2, 3), 8);
  EXPECT_EQ(BucketKey(3, 3), 13);
  EXPECT_EQ(BucketKey(std::numeric_limits<double>::infinity(), 0), 1025);
  for (int32_t schema = kSchemaMin; schema <= kSchemaMax; ++schema) {
    for (const double v : {1e-300, 0.3, 1.0, 1.5, 2.0, 1e6, 1.7e308}) {
      const int32_t key = BucketKey(v, schema);
      EXPECT_LE(v, BucketUpperBound(key, schema));
      EXPECT_GT(v, BucketUpperBound(key - 1, schema));
      // An upper bound is in its own bucket.
      EXPECT_EQ(BucketKey(BucketUpperBound(key, schema), schema), key);
    }
  }
}

struct FakeClock {
  std::shared_ptr<nanoseconds> now = std::make_shared<nanoseconds>(0);
  std::function<nanoseconds()> function() const {
    return [now = now] { return *now; };
  }
};

TEST(NativeHistogram, BucketsAndLimits) {
  struct Case {
    const char* what;
    std::vector<double> observations;
    HistogramOptions options;
    const char* want;
  };
  const auto native = [](double factor, uint32_t max, double zero_max) {
    HistogramOptions options = HistogramOptions{}.WithNative(factor, max);
    options.native_max_zero_threshold = zero_max;
    return options;
  };
  HistogramOptions exactly_zero = native(1.2, 0, 0);
  exactly_zero.native_zero_threshold = -1;
  const std::vector<Case> cases = {
      {"no observations: the zero threshold marks it as native",
       {},
       native(1.1, 0, 0),
       "histogram:{sample_count:0 sample_sum:0 schema:3 zero_threshold:2.938735877055719e-39 "
       "zero_count:0}"},
      {"a span of nothing where there is no threshold either",
       {},
       exactly_zero,
       "histogram:{sample_count:0 sample_sum:0 schema:2 zero_threshold:0 zero_count:0 "
       "positive_span:{offset:0 length:0}}"},
      {"positive",
       {0, 1, 2, 3},
       native(1.1, 0, 0),
       "histogram:{sample_count:4 sample_sum:6 schema:3 zero_threshold:2.938735877055719e-39 "
       "zero_count:1 positive_span:{offset:0 length:1} positive_span:{offset:7 length:1} "
       "positive_span:{offset:4 length:1} positive_delta:1 positive_delta:0 positive_delta:0}"},
      {"small gaps are zeros",
       {1, 1.5, 1.5, 2},
       native(1.2, 0, 0),
       "histogram:{sample_count:4 sample_sum:6 schema:2 zero_threshold:2.938735877055719e-39 "
       "zero_count:0 positive_span:{offset:0 length:5} positive_delta:1 positive_delta:-1 "
       "positive_delta:0 positive_delta:2 positive_delta:-1}"},
      {"both signs and infinity",
       {-1, 1, std::numeric_limits<double>::infinity()},
       native(4, 0, 0),
       "histogram:{sample_count:3 sample_sum:inf schema:-1 zero_threshold:2.938735877055719e-39 "
       "zero_count:0 negative_span:{offset:0 length:1} negative_delta:1 "
       "positive_span:{offset:0 length:1} positive_span:{offset:512 length:1} positive_delta:1 "
       "positive_delta:0}"},
      {"limit: the zero bucket widens",
       {0, 1, 1.1, 1.2, 1.4, 1.8, 2},
       native(1.2, 3, 1.2),
       "histogram:{sample_count:7 sample_sum:8.5 schema:2 zero_threshold:1 zero_count:2 "
       "positive_span:{offset:1 length:4} positive_delta:1 positive_delta:1 positive_delta:-2 "
       "positive_delta:2}"},
      {"limit: the resolution is halved",
       {0, 1, 1.1, 1.2, 1.4, 1.8, 2},
       native(1.2, 3, 0),
       "histogram:{sample_count:7 sample_sum:8.5 schema:1 zero_threshold:2.938735877055719e-39 "
       "zero_count:1 positive_span:{offset:0 length:3} positive_delta:1 positive_delta:2 "
       "positive_delta:-1}"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Histogram h = *Histogram::Declare(nullptr, {"h", "H."}, c.options);
    for (const double v : c.observations) h.Observe(v);
    EXPECT_EQ(Print(h.Value()), c.want);
  }
}

TEST(NativeHistogram, ResetsWhenOldEnough) {
  const FakeClock clock;
  HistogramOptions options = HistogramOptions{}.WithNative(1.2, 2, hours(1));
  options.now = clock.function();
  const Histogram h = *Histogram::Declare(nullptr, {"h", "H."}, options);
  *clock.now = hours(2);
  for (const double v : {1.0, 2.0, 4.0}) h.Observe(v);  // The third starts anew.
  EXPECT_EQ(h.Value().sample_count, 1u);
  EXPECT_EQ(h.Value().sample_sum, 4);
  // Too early: the resolution gives, and the reset follows once it may.
  *clock.now = hours(2) + minutes(30);
  for (const double v : {1.0, 2.0}) h.Observe(v);
  EXPECT_EQ(h.Value().sample_count, 3u);
  EXPECT_LT(h.Value().native->schema, 2);
  *clock.now = hours(3);
  EXPECT_EQ(h.Value().sample_count, 3u);  // What was there is shown once more.
  EXPECT_EQ(h.Value().sample_count, 0u);
  EXPECT_EQ(h.Value().native->schema, 2);
}

TEST(NativeHistogram, ExemplarsSpread) {
  detail::NativeExemplars exemplars(3, nanoseconds(minutes(5)).count());
  const auto add = [&](double value, int64_t at) {
    exemplars.Add(std::make_shared<const Exemplar>(Exemplar{{}, value, Timestamp{at, 0}}));
  };
  const auto values = [&] {
    std::vector<double> out;
    for (const ExemplarPtr& e : exemplars.exemplars()) out.push_back(e->value);
    return out;
  };
  add(100, 1);
  add(1, 2);
  add(10, 3);
  EXPECT_THAT(values(), ElementsAre(1, 10, 100));
  add(11, 4);  // Closest to 10, which goes.
  EXPECT_THAT(values(), ElementsAre(1, 11, 100));
  add(5000, 5);  // Nothing close to it: of the closest pair, the older goes.
  EXPECT_THAT(values(), ElementsAre(1, 11, 5000));
  add(12, 1000);  // All have outlived their time: the oldest goes.
  EXPECT_THAT(values(), ElementsAre(11, 12, 5000));
}

TEST(Summary, WithoutObjectives) {
  Registry registry;
  const Summary s(registry, {"s_seconds", "S."});
  s.Observe(1.5);
  s.Observe(std::chrono::milliseconds(500));
  EXPECT_EQ(Page(registry),
            "# HELP s_seconds S.\n# TYPE s_seconds summary\ns_seconds_sum 2\n"
            "s_seconds_count 2\n");
}

TEST(Summary, QuantilesOfFewAreExactAndSlide) {
  const FakeClock clock;
  SummaryOptions options{{{0.99, 0.001}, {0.5, 0.05}}, seconds(100), 5, clock.function()};
  const Summary s = *Summary::Declare(nullptr, {"s", "S."}, options);
  ASSERT_EQ(s.Value().quantiles.size(), 2u);
  EXPECT_EQ(s.Value().quantiles[0].quantile, 0.5);
  EXPECT_TRUE(std::isnan(s.Value().quantiles[0].value));
  for (int i = 1; i <= 100; ++i) s.Observe(i);
  EXPECT_EQ(s.Value().quantiles[0].value, 50);
  EXPECT_EQ(s.Value().quantiles[1].value, 99);
  *clock.now = seconds(70);
  for (int i = 0; i < 300; ++i) s.Observe(1000);
  EXPECT_EQ(s.Value().quantiles[0].value, 1000);
  *clock.now = seconds(99);
  EXPECT_EQ(s.Value().quantiles[0].value, 1000);
  *clock.now = seconds(10'000);
  EXPECT_TRUE(std::isnan(s.Value().quantiles[0].value));
  EXPECT_EQ(s.Value().sample_count, 400u);
  EXPECT_EQ(s.Value().sample_sum, 5050 + 300'000);
}

TEST(Summary, QuantilesOfManyKeepTheirError) {
  const SummaryOptions options{{{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}}, hours(1), 5, {}};
  for (const unsigned seed : {1u, 2u, 3u}) {
    const Summary s = *Summary::Declare(nullptr, {"s", "S."}, options);
    std::mt19937 random(seed);
    std::lognormal_distribution<double> distribution(0, 2);
    std::vector<double> all;
    for (int i = 0; i < 20'000; ++i) {
      all.push_back(distribution(random));
      s.Observe(all.back());
    }
    std::sort(all.begin(), all.end());
    const SummaryValue value = s.Value();
    for (size_t i = 0; i < options.objectives.size(); ++i) {
      const Objective o = options.objectives[i];
      const auto n = static_cast<double>(all.size());
      const auto low = static_cast<size_t>(std::max(0.0, (o.quantile - o.error) * n - 1));
      const auto high = static_cast<size_t>(std::min(n - 1, (o.quantile + o.error) * n + 1));
      EXPECT_GE(value.quantiles[i].value, all[low]);
      EXPECT_LE(value.quantiles[i].value, all[high]);
    }
  }
}

// Thousands of observations a window, whose distribution drifts, against the values themselves.
TEST(Summary, QuantilesOfManySlide) {
  const FakeClock clock;
  const SummaryOptions options{
      {{0.1, 0.02}, {0.5, 0.05}, {0.99, 0.001}}, seconds(100), 5, clock.function()};
  const Summary s = *Summary::Declare(nullptr, {"s", "S."}, options);
  std::mt19937 random(7);
  std::vector<std::pair<int, double>> all;  // Second and value.
  for (int now = 1; now <= 500; ++now) {
    *clock.now = seconds(now);
    for (int i = 0; i < 137; ++i) {
      all.emplace_back(now, std::normal_distribution<double>(now, 30)(random));
      s.Observe(all.back().second);
    }
    if (now % 7 != 0) continue;
    // Every 20 s one of five streams begins anew, and the oldest one answers.
    const int rotations = (now + 19) / 20 - 1;
    const int since = 20 * std::max(0, rotations - 4);
    std::vector<double> window;
    for (const auto& [time, value] : all) {
      if (time > since || since == 0) window.push_back(value);
    }
    std::sort(window.begin(), window.end());
    const auto n = static_cast<double>(window.size());
    const SummaryValue value = s.Value();
    for (size_t i = 0; i < options.objectives.size(); ++i) {
      const Objective o = options.objectives[i];
      // Merging in batches costs a little on top of the error asked for, as upstream's streams do.
      const double slack = 1.1 * o.error * n + 2;
      const auto low = static_cast<size_t>(std::max(0.0, o.quantile * n - slack));
      const auto high = static_cast<size_t>(std::min(n - 1, o.quantile * n + slack));
      EXPECT_GE(value.quantiles[i].value, window[low]) << now << " " << o.quantile;
      EXPECT_LE(value.quantiles[i].value, window[high]) << now << " " << o.quantile;
    }
  }
}

TEST(Timer, ObservesOnceAlsoOnTheWayOut) {
  const Histogram h = *Histogram::Declare(nullptr, {"h", "H."});
  {
    const Timer<Histogram> timer(h);
  }
  EXPECT_EQ(Timed(h, [] { return 7; }), 7);
  EXPECT_THROW(Timed(h, []() -> int { throw 1; }), int);
  {
    Timer<Histogram> timer(h);
    EXPECT_GE(timer.ObserveNow(), 0);
  }
  EXPECT_EQ(h.Value().sample_count, 4u);
}

const MetricFamily* FindFamily(const GatherResult& result, const std::string& name) {
  for (const MetricFamily& family : result.families) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

double GaugeOf(const GatherResult& result, const std::string& name) {
  const MetricFamily* family = FindFamily(result, name);
  return family == nullptr ? std::nan("") : std::get<GaugeValue>(family->metrics[0].value).value;
}

TEST(CountFailures, CountsWhatIsThrown) {
  const Counter all = *Counter::Declare(nullptr, {"f_total", "F."});
  EXPECT_EQ(CountFailures(all, [] { return 7; }), 7);
  EXPECT_THROW(CountFailures(all, []() -> int { throw std::out_of_range("x"); }),
               std::out_of_range);
  EXPECT_EQ(all.Value(), 1);
  EXPECT_THROW(CountFailures<std::out_of_range>(all, [] { throw std::runtime_error("x"); }),
               std::runtime_error);
  EXPECT_EQ(all.Value(), 1);
  EXPECT_THROW(CountFailures<std::logic_error>(all, [] { throw std::out_of_range("x"); }),
               std::out_of_range);
  EXPECT_EQ(all.Value(), 2);
}

TEST(ProcessCollector, SaysWhatTheKernelSays) {
  Registry registry;
  ProcessCollectorOptions options;
  options.extended = true;
  ASSERT_TRUE(registry.Register(MakeProcessCollector(options)).ok());
  const GatherResult result = registry.Gather();
  EXPECT_TRUE(result.errors.empty());
  for (const char* name :
       {"process_cpu_seconds_total", "process_network_receive_bytes_total",
        "process_network_transmit_bytes_total", "process_virtual_memory_max_bytes"}) {
    EXPECT_NE(FindFamily(result, name), nullptr) << name;
  }
  EXPECT_GT(GaugeOf(result, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(GaugeOf(result, "process_virtual_memory_bytes"),
            GaugeOf(result, "process_resident_memory_bytes"));
  EXPECT_GE(GaugeOf(result, "process_open_fds"), 3);
  EXPECT_GE(GaugeOf(result, "process_max_fds"), GaugeOf(result, "process_open_fds"));
  EXPECT_GE(GaugeOf(result, "process_threads"), 1);
  // Sanitizers bring an allocator of their own, which it cannot say anything of.
  if (FindFamily(result, "process_heap_bytes") != nullptr) {
    EXPECT_GT(GaugeOf(result, "process_heap_bytes"), 0);
  }
  const double now = Timestamp::Now().UnixSeconds();
  EXPECT_LE(GaugeOf(result, "process_start_time_seconds"), now + 2);
  EXPECT_GT(GaugeOf(result, "process_start_time_seconds"), now - 3600);
}

TEST(ProcessCollector, LeavesOutWhatIsNotThere) {
  Registry registry;
  ProcessCollectorOptions options;
  options.proc_path = "/nonexistent";
  ASSERT_TRUE(registry.Register(MakeProcessCollector(options)).ok());
  EXPECT_TRUE(registry.Gather().families.empty());
}

TEST(BuildInfo, IsAGaugeOfOne) {
  Registry registry;
  BuildInfo(registry, "prometheus", {{"version", "1.2"}, {"branch", "main"}});
  EXPECT_EQ(Page(registry),
            "# HELP prometheus_build_info A metric with a constant '1' value labeled by version, "
            "revision, branch, goversion from which prometheus was built, and the goos and goarch "
            "for the build.\n# TYPE prometheus_build_info gauge\n"
            "prometheus_build_info{branch=\"main\",version=\"1.2\"} 1\n");
}

}  // namespace
}  // namespace narthex::client
