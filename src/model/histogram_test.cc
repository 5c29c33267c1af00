#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <utility>

#include "model/float_histogram_ops.h"
#include "model/histogram.h"
#include "testing/conformance.h"

namespace narthex {
namespace {

using boost::json::value;

std::vector<Span> SpansOf(const value& object, std::string_view key) {
  std::vector<Span> spans;
  if (const value* list = testing::Find(object, key)) {
    for (const value& pair : list->as_array()) {
      spans.push_back({static_cast<int32_t>(pair.as_array()[0].to_number<int64_t>()),
                       static_cast<uint32_t>(pair.as_array()[1].to_number<int64_t>())});
    }
  }
  return spans;
}

std::vector<double> DoublesOf(const value& object, std::string_view key) {
  std::vector<double> list;
  if (const value* found = testing::Find(object, key); found != nullptr && found->is_array()) {
    for (const value& item : found->as_array()) list.push_back(testing::AsDouble(item));
  }
  return list;
}

std::vector<int64_t> IntsOf(const value& object, std::string_view key) {
  std::vector<int64_t> list;
  if (const value* found = testing::Find(object, key)) {
    for (const value& item : found->as_array()) list.push_back(item.to_number<int64_t>());
  }
  return list;
}

template <typename H>
void ReadCommon(const value& object, H* h) {
  const std::string hint = testing::TextOf(object, "hint");
  h->counter_reset_hint = hint == "reset" || hint == "counter_reset" ? CounterResetHint::kReset
                          : hint == "not_reset" || hint == "not_counter_reset"
                              ? CounterResetHint::kNotReset
                          : hint == "gauge" ? CounterResetHint::kGauge
                                            : CounterResetHint::kUnknown;
  h->schema = static_cast<int32_t>(testing::IntOf(object, "schema"));
  h->zero_threshold = testing::DoubleOf(object, "zero_threshold");
  h->sum = testing::DoubleOf(object, "sum");
  h->positive_spans = SpansOf(object, "positive_spans");
  h->negative_spans = SpansOf(object, "negative_spans");
  h->custom_values = DoublesOf(object, "custom_values");
}

bool IsFloat(const value& object) {
  return testing::BoolOf(object, "float");
}

FloatHistogram ReadFloat(const value& object);

Histogram ReadInteger(const value& object) {
  Histogram h;
  ReadCommon(object, &h);
  h.count = static_cast<uint64_t>(testing::IntOf(object, "count"));
  h.zero_count = static_cast<uint64_t>(testing::IntOf(object, "zero_count"));
  h.positive_buckets = IntsOf(object, "positive_deltas");
  h.negative_buckets = IntsOf(object, "negative_deltas");
  return h;
}

FloatHistogram ReadFloat(const value& object) {
  if (!IsFloat(object)) return ReadInteger(object).ToFloat();
  FloatHistogram h;
  ReadCommon(object, &h);
  h.count = testing::DoubleOf(object, "count");
  h.zero_count = testing::DoubleOf(object, "zero_count");
  h.positive_buckets = DoublesOf(object, "positive_counts");
  h.negative_buckets = DoublesOf(object, "negative_counts");
  return h;
}

// Adjacent spans may be spelled as one or as several; arithmetic gives one.
std::vector<Span> Joined(const std::vector<Span>& spans) {
  std::vector<Span> joined;
  for (const Span& span : spans) {
    if (!joined.empty() && span.offset == 0) {
      joined.back().length += span.length;
    } else {
      joined.push_back(span);
    }
  }
  return joined;
}

void ExpectNear(double got, double want, std::string_view what) {
  if (std::isnan(want) || std::isinf(want)) {
    EXPECT_TRUE(got == want || (std::isnan(got) && std::isnan(want))) << what << " " << got;
  } else {
    EXPECT_NEAR(got, want, std::abs(want) * 1e-12) << what;
  }
}

void ExpectSame(const FloatHistogram& got, const FloatHistogram& want) {
  EXPECT_EQ(got.schema, want.schema);
  EXPECT_EQ(got.counter_reset_hint, want.counter_reset_hint);
  ExpectNear(got.count, want.count, "count");
  ExpectNear(got.sum, want.sum, "sum");
  ExpectNear(got.zero_count, want.zero_count, "zero count");
  EXPECT_EQ(got.zero_threshold, want.zero_threshold);
  EXPECT_EQ(Joined(got.positive_spans), Joined(want.positive_spans));
  EXPECT_EQ(Joined(got.negative_spans), Joined(want.negative_spans));
  EXPECT_EQ(got.custom_values, want.custom_values);
  ASSERT_EQ(got.positive_buckets.size(), want.positive_buckets.size());
  for (size_t i = 0; i < got.positive_buckets.size(); ++i) {
    ExpectNear(got.positive_buckets[i], want.positive_buckets[i], "positive bucket");
  }
  ASSERT_EQ(got.negative_buckets.size(), want.negative_buckets.size());
  for (size_t i = 0; i < got.negative_buckets.size(); ++i) {
    ExpectNear(got.negative_buckets[i], want.negative_buckets[i], "negative bucket");
  }
}

void CheckSum(const value& test, bool subtract) {
  FloatHistogram h = ReadFloat(test.at("a"));
  const FloatHistogram other = ReadFloat(test.at("b"));
  const Result<HistogramMerge> merge = subtract ? SubHistogram(&h, other) : AddHistogram(&h, other);
  if (const std::string error = testing::TextOf(test, "error"); !error.empty()) {
    ASSERT_FALSE(merge.ok());
    EXPECT_EQ(merge.status().message(), error);
    return;
  }
  ASSERT_TRUE(merge.ok()) << merge.status().message();
  if (const value* want = testing::Find(test, "result")) {
    ExpectSame(h, ReadFloat(*want));
  }
  EXPECT_EQ(merge->counter_reset_collision, testing::BoolOf(test, "counter_reset_collision"));
  EXPECT_EQ(merge->bounds_reconciled, testing::BoolOf(test, "nhcb_bounds_reconciled"));
}

void CheckKahan(const value& test) {
  FloatHistogram h = ReadFloat(test.at("a"));
  std::optional<FloatHistogram> errors;
  if (const value* given = testing::Find(test, "compensation"); given && given->is_object()) {
    errors = ReadFloat(*given);
  }
  const Result<HistogramMerge> merge = KahanAddHistogram(&h, ReadFloat(test.at("b")), &errors);
  ASSERT_TRUE(merge.ok()) << merge.status().message();
  if (testing::Find(test, "result_sum") == nullptr) {
    EXPECT_TRUE(merge->counter_reset_collision);
    return;
  }
  // The expectation is the sum with its error terms added back, and compacted.
  ASSERT_TRUE(AddHistogram(&h, *errors).ok());
  CompactHistogram(&h, 0);
  FloatHistogram want = ReadFloat(test.at("result_sum"));
  CompactHistogram(&want, 0);
  ExpectSame(h, want);
}

void CheckBuckets(const value& want, const FloatHistogram& h, BucketOrder order) {
  BucketIterator it(h, order);
  for (const value& bucket : want.as_array()) {
    ASSERT_TRUE(it.Next());
    EXPECT_EQ(it.bucket().lower, testing::DoubleOf(bucket, "lower"));
    EXPECT_EQ(it.bucket().upper, testing::DoubleOf(bucket, "upper"));
    EXPECT_EQ(it.bucket().lower_inclusive, testing::BoolOf(bucket, "lower_inclusive"));
    EXPECT_EQ(it.bucket().upper_inclusive, testing::BoolOf(bucket, "upper_inclusive"));
    EXPECT_EQ(it.bucket().count, testing::DoubleOf(bucket, "count"));
    EXPECT_EQ(it.bucket().index, testing::IntOf(bucket, "index"));
  }
  EXPECT_FALSE(it.Next());
}

void CheckSides(const value& test, const FloatHistogram& h) {
  CheckBuckets(test.at("positive"), h, BucketOrder::kPositive);
  if (const value* negative = testing::Find(test, "negative")) {
    CheckBuckets(*negative, h, BucketOrder::kNegative);
  }
}

void CheckValidate(const value& test) {
  const value& a = test.at("a");
  const std::string want = testing::TextOf(test, "error");
  EXPECT_EQ((IsFloat(a) ? ReadFloat(a).Validate() : ReadInteger(a).Validate()).message(), want);
}

void CheckClassic(const value& test) {
  const value* a = testing::Find(test, "a");
  if (a == nullptr) return;  // A type that is no histogram cannot be passed here.
  std::string text = testing::TextOf(test, "labels");
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t at = 1; at + 1 < text.size();) {
    const size_t equal = text.find('=', at);
    const size_t end = text.find('"', equal + 2);
    pairs.emplace_back(text.substr(at, equal - at), text.substr(equal + 2, end - equal - 2));
    at = end + 3;
  }
  const Labels labels = Labels::FromPairs(pairs);
  const auto convert_integer = [&] {
    Histogram histogram = ReadInteger(*a);
    // JSON has one NaN only.
    if (testing::TextOf(test, "title") == "stale histogram") histogram.sum = StaleNan();
    return CustomBucketsToClassic(labels, histogram);
  };
  const auto samples =
      IsFloat(*a) ? CustomBucketsToClassic(labels, ReadFloat(*a)) : convert_integer();
  ASSERT_EQ(samples.ok(), !testing::BoolOf(test, "error"));
  if (!samples.ok()) return;
  const auto& want = test.at("samples").as_array();
  ASSERT_EQ(samples->size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ((*samples)[i].labels.ToString(), testing::TextOf(want[i], "lset"));
    ExpectNear((*samples)[i].value, testing::DoubleOf(want[i], "val"), "value");
  }
}

void CheckOperation(const std::string& op, const value& test) {
  if (op == "add" || op == "sub") {
    CheckSum(test, op == "sub");
  } else if (op == "kahan_add") {
    CheckKahan(test);
  } else if (op == "mul" || op == "div") {
    FloatHistogram h = ReadFloat(test.at("a"));
    const double by = testing::DoubleOf(test, "by");
    op == "mul" ? MulHistogram(&h, by) : DivHistogram(&h, by);
    ExpectSame(h, ReadFloat(test.at("result")));
  } else if (op == "detect_reset") {
    EXPECT_EQ(DetectReset(ReadFloat(test.at("current")), ReadFloat(test.at("previous"))),
              testing::BoolOf(test, "reset"));
  } else if (op == "compact") {
    const auto empty_max = static_cast<size_t>(testing::IntOf(test, "max_empty_buckets"));
    if (IsFloat(test.at("a"))) {
      FloatHistogram h = ReadFloat(test.at("a"));
      CompactHistogram(&h, empty_max);
      const FloatHistogram want = ReadFloat(test.at("result"));
      EXPECT_EQ(h.positive_spans, want.positive_spans);
      EXPECT_EQ(h.negative_spans, want.negative_spans);
      ExpectSame(h, want);
    } else {
      Histogram h = ReadInteger(test.at("a"));
      CompactHistogram(&h, empty_max);
      const Histogram want = ReadInteger(test.at("result"));
      EXPECT_TRUE(HistogramsEqual(h, want));
      EXPECT_EQ(h.positive_spans, want.positive_spans);
      EXPECT_EQ(h.positive_buckets, want.positive_buckets);
      EXPECT_EQ(h.negative_buckets, want.negative_buckets);
    }
  } else if (op == "reduce_resolution" || op == "copy_to_schema" ||
             op == "invalid_layout_on_schema_change") {
    const value* to = testing::Find(test, "schema");
    const auto schema = to == nullptr ? 0 : static_cast<int32_t>(to->to_number<int64_t>());
    const Result<FloatHistogram> copy = CopyToSchema(ReadFloat(test.at("a")), schema);
    Histogram integer = ReadInteger(test.at("a"));
    const Status reduced = IsFloat(test.at("a")) ? Status() : ReduceResolution(&integer, schema);
    if (const std::string error = testing::TextOf(test, "error"); !error.empty()) {
      EXPECT_NE(copy.status().message().find(error), std::string::npos) << copy.status().message();
      if (!IsFloat(test.at("a"))) {
        EXPECT_EQ(reduced.message(), error);
      }
      return;
    }
    ASSERT_TRUE(copy.ok()) << copy.status().message();
    ExpectSame(*copy, ReadFloat(test.at("result")));
    if (!IsFloat(test.at("a"))) {
      EXPECT_EQ(integer.positive_buckets, ReadInteger(test.at("result")).positive_buckets);
    }
  } else if (op == "validate") {
    CheckValidate(test);
  } else if (op == "validate_negative") {
    EXPECT_FALSE(ReadFloat(test.at("a")).Validate().ok());
  } else if (op == "string") {
    const value& a = test.at("a");
    EXPECT_EQ(IsFloat(a) ? ReadFloat(a).ToString() : ReadInteger(a).ToString(),
              testing::TextOf(test, "string"));
  } else if (op == "bound") {
    EXPECT_EQ(HistogramBound(static_cast<int32_t>(testing::IntOf(test, "index")),
                             static_cast<int32_t>(testing::IntOf(test, "schema")), {}),
              testing::DoubleOf(test, "bound"));
  } else if (op == "buckets" || op == "custom_buckets") {
    CheckSides(test, ReadFloat(test.at("a")));
  } else if (op == "buckets_at_schema_minus_1") {
    FloatHistogram h = ReadFloat(test.at("a"));
    // Layouts that do not fit are refused here; upstream's iterator makes the best of them.
    const bool fits = h.Validate().ok();
    if (h.schema > -1) {
      ASSERT_EQ(ReduceResolution(&h, -1).ok(), fits);
    }
    if (fits) CheckSides(test, h);
  } else if (op == "fraction_below") {
    const value& b = test.at("bucket");
    const HistogramBucket bucket{testing::DoubleOf(b, "lower"), testing::DoubleOf(b, "upper")};
    ExpectNear(FractionBelow(bucket, testing::DoubleOf(test, "v"), testing::BoolOf(test, "linear")),
               testing::DoubleOf(test, "fraction"), "fraction");
  } else if (op == "custom_bounds_match") {
    EXPECT_EQ(CustomBoundsMatch(DoublesOf(test, "a"), DoublesOf(test, "b")),
              testing::BoolOf(test, "match"));
  } else if (op == "nhcb_to_classic") {
    CheckClassic(test);
  } else if (op == "cumulative_buckets") {
    // Upstream's iterator is for its tests; here cumulative counts are sums over the plain one.
    const FloatHistogram h = ReadFloat(test.at("a"));
    std::map<int64_t, double> want;
    for (const value& bucket : test.at("buckets").as_array()) {
      want[testing::IntOf(bucket, "index")] = testing::DoubleOf(bucket, "count");
    }
    double sum = h.zero_count;
    BucketIterator it(h, BucketOrder::kPositive);
    while (it.Next()) {
      sum += it.bucket().count;
      EXPECT_EQ(sum, want[it.bucket().index]);
    }
  } else {
    ADD_FAILURE() << "unknown operation " << op;
  }
}

TEST(Histogram, OperationsGiveUpstreamsResults) {
  const auto cases = testing::LoadCases("histograms/operations.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const value& test : *cases) {
    const std::string op = testing::TextOf(test, "op");
    SCOPED_TRACE(op + " " + testing::TextOf(test, "title") + " " + boost::json::serialize(test));
    try {
      CheckOperation(op, test);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(Histogram, PicksTheSchemaOfABucketFactor) {
  const auto cases = testing::LoadCases("histograms/pick-schema.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const value& test : *cases) {
    EXPECT_EQ(SchemaForBucketFactor(testing::DoubleOf(test, "factor")),
              testing::IntOf(test, "schema"));
  }
}

FloatHistogram Sample() {
  FloatHistogram h;
  h.count = 10;
  h.sum = 12;
  h.zero_threshold = 0.5;
  h.zero_count = 1;
  h.positive_spans = {{-1, 2}, {1, 1}};  // (0.25,0.5] (0.5,1] (2,4]
  h.positive_buckets = {2, 3, 1};
  h.negative_spans = {{0, 1}};
  h.negative_buckets = {3};
  return h;
}

TEST(BucketIterator, VisitsAllBucketsInBothDirections) {
  const FloatHistogram h = Sample();
  std::vector<std::string> up;
  for (BucketIterator it(h, BucketOrder::kAll); it.Next();) {
    up.push_back(BucketToString(it.bucket()));
  }
  // The lowest positive bucket reaches into the zero bucket and is cut.
  EXPECT_EQ(up, (std::vector<std::string>{"[-1,-0.5):3", "[-0.5,0.5]:1", "(0.5,0.5]:2", "(0.5,1]:3",
                                          "(2,4]:1"}));
  std::vector<std::string> down;
  for (BucketIterator it(h, BucketOrder::kAllReverse); it.Next();) {
    down.push_back(BucketToString(it.bucket()));
  }
  EXPECT_EQ(down, std::vector<std::string>(up.rbegin(), up.rend()));
}

TEST(BucketIterator, SurvivesLayoutsThatDoNotFit) {
  for (const auto& [spans, buckets] :
       {std::pair<std::vector<Span>, std::vector<double>>{{{0, 5}}, {1, 2}},
        {{{0, 1}}, {1, 2, 3}},
        {{{0, 0}, {2, 0}}, {1}},
        {{}, {1, 2}},
        {{{2147483647, 3}, {2147483647, 3}}, {1, 2, 3, 4, 5, 6}}}) {
    FloatHistogram h;
    h.positive_spans = spans;
    h.positive_buckets = buckets;
    for (const BucketOrder order : {BucketOrder::kPositive, BucketOrder::kPositiveReverse,
                                    BucketOrder::kAll, BucketOrder::kAllReverse}) {
      size_t count = 0;
      for (BucketIterator it(h, order); it.Next();) ++count;
      EXPECT_LE(count, buckets.size());
    }
    FloatHistogram sum = h;
    EXPECT_TRUE(AddHistogram(&sum, Sample()).ok());
    EXPECT_TRUE(AddHistogram(&sum, h).ok());
    CompactHistogram(&sum, 2);
  }
}

TEST(Histogram, AdditionIsTheSameWhateverTheLayout) {
  // Adding bucket by bucket must equal adding at once.
  const FloatHistogram h = Sample();
  FloatHistogram at_once;
  at_once.zero_threshold = 0.5;
  ASSERT_TRUE(AddHistogram(&at_once, h).ok());
  ASSERT_TRUE(AddHistogram(&at_once, h).ok());
  FloatHistogram doubled = h;
  MulHistogram(&doubled, 2);
  CompactHistogram(&at_once, 0);
  // The bucket inside the zero bucket is part of it already.
  doubled.positive_spans[0] = {0, 1};
  doubled.positive_buckets.erase(doubled.positive_buckets.begin());
  EXPECT_TRUE(HistogramsEqual(at_once, doubled)) << at_once.ToString();
}

// Random sparse sides: gaps of 0 to 3, spans of 1 to 4, now and then an empty bucket.
FloatHistogram RandomHistogram(std::mt19937* random, int32_t schema, double zero_threshold) {
  FloatHistogram h;
  h.schema = schema;
  h.zero_threshold = zero_threshold;
  const auto below = [&](uint32_t bound) { return static_cast<uint32_t>((*random)() % bound); };
  h.zero_count = below(3);
  h.sum = below(100) / 7.0;
  h.count = below(1000);
  for (auto [spans, buckets] : {std::pair{&h.positive_spans, &h.positive_buckets},
                                std::pair{&h.negative_spans, &h.negative_buckets}}) {
    for (uint32_t i = below(4); i > 0; --i) {
      spans->push_back({static_cast<int32_t>(below(4)), 1 + below(4)});
      for (uint32_t j = 0; j < spans->back().length; ++j) buckets->push_back(below(4) / 3.0);
    }
  }
  return h;
}

TEST(Histogram, TheCompactDifferenceIsSubtractionAndCompaction) {
  std::mt19937 random(11);
  size_t differences = 0;
  for (int i = 0; i < 4000; ++i) {
    const int32_t schema = i % 5 == 0 ? kCustomBucketsSchema : static_cast<int32_t>(random() % 4);
    const double zero_threshold = i % 3 == 0 ? 1.5 : 0;
    const FloatHistogram a = RandomHistogram(&random, schema, zero_threshold);
    FloatHistogram b = RandomHistogram(&random, schema, zero_threshold);
    if (i % 2 == 0) {
      b = a;
      for (double& count : b.positive_buckets) count *= static_cast<double>(random() % 2);
      for (double& count : b.negative_buckets) count *= static_cast<double>(random() % 2);
    }
    if (i % 4 == 0) CompactHistogram(&b, 0);
    const std::optional<FloatHistogram> quick = CompactDifference(a, b);
    if (!quick.has_value()) continue;
    ++differences;
    FloatHistogram slow = a;
    ASSERT_TRUE(SubHistogram(&slow, b).ok());
    CompactHistogram(&slow, 0);
    EXPECT_TRUE(HistogramsEqual(*quick, slow)) << a.ToString() << " - " << b.ToString();
    EXPECT_EQ(quick->positive_spans, slow.positive_spans);
    EXPECT_EQ(quick->negative_spans, slow.negative_spans);
  }
  EXPECT_GT(differences, 1500u);
}

TEST(Histogram, AddsTheSameWhetherOrNotEveryBucketHasAPlace) {
  std::mt19937 random(12);
  for (int i = 0; i < 4000; ++i) {
    const int32_t schema = static_cast<int32_t>(random() % 3);
    FloatHistogram sum = RandomHistogram(&random, schema, 0);
    const FloatHistogram addend = RandomHistogram(&random, schema, 0);
    std::map<std::pair<bool, int32_t>, double> want;
    const auto collect = [&](const FloatHistogram& h) {
      for (const bool positive : {true, false}) {
        BucketIterator it(h, positive ? BucketOrder::kPositive : BucketOrder::kNegative);
        while (it.Next()) want[{positive, it.bucket().index}] += it.bucket().count;
      }
    };
    collect(sum);
    collect(addend);
    ASSERT_TRUE(AddHistogram(&sum, addend).ok());
    std::map<std::pair<bool, int32_t>, double> got;
    std::swap(want, got);
    collect(sum);
    EXPECT_EQ(want, got);
    // A finer one is reduced on the way.
    const FloatHistogram fine = RandomHistogram(&random, schema + 1 + i % 2, 0);
    FloatHistogram reduced = fine;
    ASSERT_TRUE(ReduceResolution(&reduced, schema).ok());
    if (i % 3 == 0) ASSERT_TRUE(AddHistogram(&sum, reduced).ok());
    FloatHistogram sum_of_reduced = sum;
    ASSERT_TRUE(AddHistogram(&sum, fine).ok());
    ASSERT_TRUE(AddHistogram(&sum_of_reduced, reduced).ok());
    EXPECT_TRUE(HistogramsEqual(sum, sum_of_reduced));
  }
}

TEST(Histogram, TrimsAtABound) {
  struct Case {
    double bound;
    TrimSide side;
    std::string_view want;
  };
  for (const Case& c : {
           Case{1, TrimSide::kUpper,
                "{count:9, sum:0.7071067811865475, [-1,-0.5):3, [-0.5,0.5]:1, "
                "(0.25,0.5]:2, (0.5,1]:3}"},
           Case{1, TrimSide::kLower, "{count:1, sum:2.8284271247461903, (2,4]:1}"},
           Case{100, TrimSide::kUpper,
                "{count:10, sum:12, [-1,-0.5):3, [-0.5,0.5]:1, "
                "(0.25,0.5]:2, (0.5,1]:3, (2,4]:1}"},
       }) {
    FloatHistogram h = Sample();
    TrimBuckets(&h, c.bound, c.side);
    EXPECT_EQ(h.ToString(), c.want);
  }
}

TEST(Histogram, PrintsTestExpressions) {
  FloatHistogram h = Sample();
  h.counter_reset_hint = CounterResetHint::kGauge;
  EXPECT_EQ(ToTestExpression(h),
            "{{count:10 sum:12 z_bucket:1 z_bucket_w:0.5 counter_reset_hint:gauge offset:-1 "
            "buckets:[2 3 0 1] n_buckets:[3]}}");
  EXPECT_EQ(HistogramSize(h), (168u + 8 * 7 + 8) / 16);
}

TEST(Histogram, ThresholdOfNanEnds) {
  FloatHistogram h = Sample();
  FloatHistogram odd = Sample();
  odd.zero_threshold = std::nan("");
  EXPECT_TRUE(AddHistogram(&h, odd).ok());
}

// To the last bit: the logarithms round as Go's.
TEST(HistogramBuckets, FractionBelowRoundsAsGo) {
  EXPECT_EQ(FractionBelow({29.344033714788836, 32}, 31, false), 0.63358427053774624);
  EXPECT_EQ(FractionBelow({2, 2.1810154653305154}, 2.1, false), 0.56311462313118454);
  EXPECT_EQ(FractionBelow({1024, 1116.6799}, 1031, false), 0.078628953775596575);
}

}  // namespace
}  // namespace narthex
