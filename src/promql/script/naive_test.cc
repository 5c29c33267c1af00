// The engine against an evaluator that is too simple to be wrong: it walks the tree once for every
// step, looks at every sample every time, keeps nothing, knows floats only and adds up in long
// doubles. Random expressions over random data from a seed; values must agree to 1e-9, labels and
// presence exactly, and whatever fails must fail in both.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "promql/engine/engine.h"
#include "promql/script/memory_store.h"
#include "util/numbers.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

constexpr int64_t kLookbackMs = 300'000;
constexpr int64_t kStepMs = 15'000;
constexpr int kSamples = 80;

using Pairs = std::map<std::string, std::string>;
using Points = std::vector<std::pair<int64_t, double>>;
using Vector = std::vector<std::pair<Pairs, double>>;
using Matrix = std::vector<std::pair<Pairs, Points>>;

Pairs Unnamed(Pairs labels) {
  labels.erase("__name__");
  return labels;
}

double Quantile(double q, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(std::floor(rank));
  const size_t high = std::min(low + 1, values.size() - 1);
  const double weight = rank - std::floor(rank);
  return values[low] * (1 - weight) + values[high] * weight;
}

double Mean(const std::vector<double>& values) {
  long double sum = 0;
  for (const double value : values) sum += value;
  return static_cast<double>(sum / static_cast<long double>(values.size()));
}

double Variance(const std::vector<double>& values) {
  const long double mean = Mean(values);
  long double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return static_cast<double>(sum / static_cast<long double>(values.size()));
}

double Fold(std::string_view what, const std::vector<double>& values) {
  if (what == "sum") return Mean(values) * static_cast<double>(values.size());
  if (what == "avg") return Mean(values);
  if (what == "min") return *std::min_element(values.begin(), values.end());
  if (what == "max") return *std::max_element(values.begin(), values.end());
  if (what == "count") return static_cast<double>(values.size());
  if (what == "stdvar") return Variance(values);
  if (what == "stddev") return std::sqrt(Variance(values));
  return 1;  // group, present
}

class Naive {
 public:
  Naive(const Matrix& data, int64_t start_ms, int64_t end_ms)
      : data_(data), start_ms_(start_ms), end_ms_(end_ms) {}

  bool failed() const { return failed_; }

  // A scalar is a vector of one element without labels.
  Vector At(const Expr& expr, int64_t t) {
    switch (expr.kind) {
      case Expr::Kind::kNumberLiteral: return {{{}, expr.As<NumberLiteral>().value}};
      case Expr::Kind::kParen: return At(*expr.As<ParenExpr>().expr, t);
      case Expr::Kind::kUnary: {
        Vector v = At(*expr.As<UnaryExpr>().expr, t);
        for (auto& [labels, value] : v) {
          if (!expr.As<UnaryExpr>().minus) continue;
          labels = Unnamed(labels);
          value = -value;
        }
        return v;
      }
      case Expr::Kind::kVectorSelector: return Instant(expr.As<VectorSelector>(), t);
      case Expr::Kind::kCall: return CallAt(expr.As<Call>(), t);
      case Expr::Kind::kAggregate: return Aggregate(expr.As<AggregateExpr>(), t);
      case Expr::Kind::kBinary: return Binary(expr.As<BinaryExpr>(), t);
      default: ADD_FAILURE() << "not in the grammar"; return {};
    }
  }

 private:
  int64_t Reference(AtModifier at, int64_t at_ms, const DurationValue& offset, int64_t t) const {
    if (at == AtModifier::kTimestamp) t = at_ms;
    if (at == AtModifier::kStart) t = start_ms_;
    if (at == AtModifier::kEnd) t = end_ms_;
    return t - offset.nanos / 1'000'000;
  }

  static bool Selected(const VectorSelector& selector, const Pairs& labels) {
    for (const Matcher& matcher : selector.matchers) {
      const auto at = labels.find(std::string(matcher.name()));
      if (!matcher.Matches(at == labels.end() ? std::string_view() : at->second)) return false;
    }
    return true;
  }

  Matrix Window(const VectorSelector& selector, int64_t t, int64_t range_ms) const {
    const int64_t end = Reference(selector.at, selector.at_ms, selector.offset, t);
    Matrix out;
    for (const auto& [labels, points] : data_) {
      if (!Selected(selector, labels)) continue;
      Points window;
      for (const auto& point : points) {
        if (point.first > end - range_ms && point.first <= end) window.push_back(point);
      }
      out.emplace_back(labels, window);
    }
    return out;
  }

  Vector Instant(const VectorSelector& selector, int64_t t) const {
    Vector out;
    for (const auto& [labels, points] : Window(selector, t, kLookbackMs)) {
      if (!points.empty() && !IsStaleNan(points.back().second)) {
        out.emplace_back(labels, points.back().second);
      }
    }
    return out;
  }

  // The series of a range, and where it ends.
  Matrix Range(const Expr& expr, int64_t t, int64_t* end, int64_t* range_ms) {
    Matrix out;
    if (expr.kind == Expr::Kind::kMatrixSelector) {
      const auto& matrix = expr.As<MatrixSelector>();
      const VectorSelector& selector = *matrix.selector;
      *range_ms = matrix.range.nanos / 1'000'000;
      *end = Reference(selector.at, selector.at_ms, selector.offset, t);
      for (auto& [labels, points] : Window(selector, t, *range_ms)) {
        std::erase_if(points, [](const auto& point) { return IsStaleNan(point.second); });
        if (!points.empty()) out.emplace_back(labels, points);
      }
      return out;
    }
    const auto& subquery = expr.As<SubqueryExpr>();
    const int64_t step = subquery.step.nanos / 1'000'000;
    *range_ms = subquery.range.nanos / 1'000'000;
    *end = Reference(subquery.at, subquery.at_ms, subquery.offset, t);
    std::map<Pairs, Points> by_labels;
    for (int64_t at = *end - *range_ms + 1; at <= *end; ++at) {
      if (at % step != 0) {
        at += (step - at % step) % step - 1;  // To just before the next multiple.
        continue;
      }
      for (const auto& [labels, value] : At(*subquery.expr, at)) {
        by_labels[labels].emplace_back(at, value);
      }
    }
    for (const auto& [labels, points] : by_labels) out.emplace_back(labels, points);
    return out;
  }

  static std::optional<double> Extrapolated(const Points& points, int64_t end, int64_t range_ms,
                                            bool counter, bool rate) {
    if (points.size() < 2) return std::nullopt;
    double result = points.back().second - points.front().second;
    for (size_t i = 1; counter && i < points.size(); ++i) {
      if (points[i].second < points[i - 1].second) result += points[i - 1].second;
    }
    const auto seconds = [](int64_t ms) { return static_cast<double>(ms) / 1000; };
    const double sampled = seconds(points.back().first - points.front().first);
    const double average = sampled / static_cast<double>(points.size() - 1);
    double to_start = seconds(points.front().first - (end - range_ms));
    double to_end = seconds(end - points.back().first);
    if (to_start >= average * 1.1) to_start = average / 2;
    if (counter && result > 0 && points.front().second >= 0) {
      to_start = std::min(to_start, sampled * (points.front().second / result));
    }
    if (to_end >= average * 1.1) to_end = average / 2;
    result *= (sampled + to_start + to_end) / sampled;
    return rate ? result / seconds(range_ms) : result;
  }

  static std::optional<double> OverRange(std::string_view name, const Points& points, int64_t end,
                                         int64_t range_ms, double parameter) {
    std::vector<double> values;
    for (const auto& point : points) values.push_back(point.second);
    if (name == "rate") return Extrapolated(points, end, range_ms, true, true);
    if (name == "increase") return Extrapolated(points, end, range_ms, true, false);
    if (name == "delta") return Extrapolated(points, end, range_ms, false, false);
    if (name == "irate" || name == "idelta") {
      if (points.size() < 2) return std::nullopt;
      const auto& [t1, v1] = points[points.size() - 2];
      const auto& [t2, v2] = points.back();
      if (name == "idelta") return v2 - v1;
      return (v2 < v1 ? v2 : v2 - v1) / (static_cast<double>(t2 - t1) / 1000);
    }
    if (name == "changes" || name == "resets") {
      double count = 0;
      for (size_t i = 1; i < values.size(); ++i) {
        count += name == "changes" ? values[i] != values[i - 1] : values[i] < values[i - 1];
      }
      return count;
    }
    if (name == "last_over_time") return values.back();
    if (name == "quantile_over_time") return Quantile(parameter, values);
    return Fold(name.substr(0, name.find('_')), values);
  }

  Vector CallAt(const Call& call, int64_t t) {
    const std::string_view name = call.function->name;
    if (name == "time") return {{{}, static_cast<double>(t) / 1000}};
    const size_t matrix_at = name == "quantile_over_time" ? 1 : 0;
    if (call.function->arguments[matrix_at] == ValueType::kMatrix) {
      const double parameter = matrix_at == 1 ? At(*call.arguments[0], t)[0].second : 0;
      int64_t end = 0;
      int64_t range_ms = 0;
      Vector out;
      for (const auto& [labels, points] : Range(*call.arguments[matrix_at], t, &end, &range_ms)) {
        const auto value = OverRange(name, points, end, range_ms, parameter);
        if (value) out.emplace_back(name == "last_over_time" ? labels : Unnamed(labels), *value);
      }
      return Unique(std::move(out));
    }
    Vector v = At(*call.arguments[0], t);
    if (name == "vector") return v;
    if (name == "scalar") return {{{}, v.size() == 1 ? v[0].second : std::nan("")}};
    const double limit = call.arguments.size() > 1 ? At(*call.arguments[1], t)[0].second : 0;
    for (auto& [labels, value] : v) {
      labels = Unnamed(labels);
      if (name == "abs") value = std::fabs(value);
      if (name == "floor") value = std::floor(value);
      if (name == "sqrt") value = std::sqrt(value);
      if (name == "clamp_min") value = std::max(value, limit);
      if (name == "clamp_max") value = std::min(value, limit);
    }
    return Unique(std::move(v));
  }

  Vector Unique(Vector v) {
    std::set<Pairs> seen;
    for (const auto& [labels, value] : v) failed_ = failed_ || !seen.insert(labels).second;
    return v;
  }

  static Pairs Keep(const Pairs& labels, const std::vector<std::string>& names, bool keep) {
    Pairs out;
    for (const auto& [name, value] : labels) {
      const bool named = std::find(names.begin(), names.end(), name) != names.end();
      if (keep ? named : !named && name != "__name__") out[name] = value;
    }
    return out;
  }

  Vector Aggregate(const AggregateExpr& expr, int64_t t) {
    std::map<Pairs, std::vector<double>> groups;
    for (const auto& [labels, value] : At(*expr.expr, t)) {
      groups[Keep(labels, expr.grouping, !expr.without)].push_back(value);
    }
    const double q = expr.parameter ? At(*expr.parameter, t)[0].second : 0;
    Vector out;
    for (const auto& [labels, values] : groups) {
      out.emplace_back(labels, expr.op == AggregateOp::kQuantile
                                   ? Quantile(q, values)
                                   : Fold(AggregateOpName(expr.op), values));
    }
    return out;
  }

  static double Arithmetic(BinaryOp op, double a, double b) {
    switch (op) {
      case BinaryOp::kAdd: return a + b;
      case BinaryOp::kSub: return a - b;
      case BinaryOp::kMul: return a * b;
      case BinaryOp::kDiv: return a / b;
      default: return std::fmod(a, b);
    }
  }
  static bool Holds(BinaryOp op, double a, double b) {
    switch (op) {
      case BinaryOp::kEql: return a == b;
      case BinaryOp::kNeq: return a != b;
      case BinaryOp::kLss: return a < b;
      case BinaryOp::kLte: return a <= b;
      case BinaryOp::kGtr: return a > b;
      default: return a >= b;
    }
  }
  // The value of one pair; nothing when a comparison filters it out, else `kept` is its value.
  static std::optional<double> Element(const BinaryExpr& expr, double a, double b, double kept) {
    if (!IsComparison(expr.op)) return Arithmetic(expr.op, a, b);
    const bool holds = Holds(expr.op, a, b);
    if (expr.return_bool) return holds ? 1 : 0;
    return holds ? std::optional(kept) : std::nullopt;
  }

  Vector Binary(const BinaryExpr& expr, int64_t t) {
    const Vector left = At(*expr.lhs, t);
    const Vector right = At(*expr.rhs, t);
    const bool keeps_name = IsComparison(expr.op) && !expr.return_bool;
    if (!expr.matching.has_value()) {
      const bool left_scalar = TypeOf(*expr.lhs) == ValueType::kScalar;
      Vector out;
      for (const auto& [labels, value] : left_scalar ? right : left) {
        const double a = left_scalar ? left[0].second : value;
        const double b = left_scalar ? value : right[0].second;
        const auto result = Element(expr, a, b, value);
        if (result) out.emplace_back(keeps_name ? labels : Unnamed(labels), *result);
      }
      return Unique(std::move(out));
    }
    const VectorMatching& matching = *expr.matching;
    const auto key = [&](const Pairs& labels) {
      return Keep(labels, matching.labels, matching.on);
    };
    if (IsSetOperator(expr.op)) return SetOperator(expr.op, left, right, key);
    if (left.empty() || right.empty()) return {};

    const bool swapped = matching.card == MatchCardinality::kOneToMany;
    const bool grouped = matching.card != MatchCardinality::kOneToOne;
    const Vector& many = swapped ? right : left;
    std::map<Pairs, std::pair<Pairs, double>> one;
    for (const auto& element : swapped ? left : right) {
      failed_ = failed_ || !one.emplace(key(element.first), element).second;
    }
    Vector out;
    std::set<Pairs> used;
    std::set<std::pair<Pairs, Pairs>> results;
    for (const auto& [labels, value] : many) {
      const auto partner = one.find(key(labels));
      if (partner == one.end()) continue;
      const double other = partner->second.second;
      const double a = swapped ? other : value;
      const double b = swapped ? value : other;
      const auto result = Element(expr, a, b, a);
      Pairs metric = keeps_name ? labels : Unnamed(labels);
      // A match counts even if the comparison filters it out.
      if (grouped) {
        for (const std::string& name : matching.include) {
          const auto from = partner->second.first.find(name);
          metric.erase(name);
          if (from != partner->second.first.end()) metric[name] = from->second;
        }
        failed_ = failed_ || !results.emplace(partner->first, metric).second;
      } else {
        failed_ = failed_ || !used.insert(partner->first).second;
        if (matching.on) {
          metric = Keep(labels, matching.labels, true);
        } else {
          for (const std::string& name : matching.labels) metric.erase(name);
        }
      }
      if (!result) continue;
      out.emplace_back(metric, *result);
    }
    return Unique(std::move(out));
  }

  template <typename Key>
  static Vector SetOperator(BinaryOp op, const Vector& left, const Vector& right, const Key& key) {
    std::set<Pairs> there;
    Vector out;
    for (const auto& [labels, value] : op == BinaryOp::kOr ? left : right)
      there.insert(key(labels));
    if (op == BinaryOp::kOr) out = left;
    for (const auto& element : op == BinaryOp::kOr ? right : left) {
      if (there.contains(key(element.first)) == (op == BinaryOp::kAnd)) out.push_back(element);
    }
    return out;
  }

  const Matrix& data_;
  int64_t start_ms_;
  int64_t end_ms_;
  bool failed_ = false;
};

// ---- random data and expressions ----

class Random {
 public:
  explicit Random(uint64_t seed) : random_(seed) {}
  size_t Below(size_t bound) { return static_cast<size_t>(random_() % bound); }
  bool Chance(size_t percent) { return Below(100) < percent; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }
  std::string Text(const std::vector<std::string>& from) { return Pick(from); }

 private:
  std::mt19937_64 random_;
};

// Eighths, so that sums and differences are exact and comparisons do not hang on a rounding.
Matrix RandomData(Random& random) {
  Matrix data;
  for (const std::string name : {"requests_total", "errors_total", "load", "temperature"}) {
    for (int i = 0; i < 5; ++i) {
      Pairs labels{{"__name__", name}, {"i", std::to_string(i)}, {"g", i < 3 ? "x" : "y"}};
      if (name == "load") labels.erase("g");
      if (i == 4) labels["extra"] = "e";
      const size_t jitter = random.Chance(50) ? 0 : random.Below(4000);
      const size_t gaps = random.Chance(50) ? 0 : random.Below(60);
      double value = 0;
      Points points;
      for (int s = 0; s < kSamples; ++s) {
        const auto step = static_cast<double>(random.Below(80)) / 8;
        const bool counter = name.ends_with("_total");
        value = counter ? (random.Chance(3) ? 0 : value + step) : step - 3;
        if (random.Chance(gaps)) continue;
        points.emplace_back(s * kStepMs + static_cast<int64_t>(jitter),
                            random.Chance(3) ? StaleNan() : value);
      }
      data.emplace_back(labels, points);
    }
  }
  return data;
}

class Expressions {
 public:
  explicit Expressions(Random& random) : random_(random) {}

  std::string VectorOf(int depth) {
    if (depth == 0 || random_.Chance(10)) return Selector() + Modifiers();
    const std::string inner = VectorOf(depth - 1);
    switch (random_.Below(8)) {
      case 0:
      case 1:
      case 2: return RangeCall(depth);
      case 3: return random_.Text({"abs", "floor", "sqrt"}) + "(" + inner + ")";
      case 4: return random_.Text({"clamp_min", "clamp_max"}) + "(" + inner + ", 1.5)";
      case 5: return Aggregation(inner);
      case 6: {
        const std::string op = random_.Text({"+", "-", "*", "/", "%", ">", "<", "==", "!= bool"});
        const std::string scalar = random_.Text({"2", "-0.5", "time()", "scalar(load)"});
        return random_.Chance(50) ? fmt::format("({} {} {})", inner, op, scalar)
                                  : fmt::format("({} {} {})", scalar, op, inner);
      }
      default: return Joined(inner, depth);
    }
  }

 private:
  std::string Selector() {
    return random_.Text({"requests_total", "errors_total", "load", "temperature"}) +
           random_.Text({"", "", "", "{g=\"x\"}", "{i=~\"[12]\"}", "{g!=\"\"}", "{extra=\"\"}"});
  }
  std::string Modifiers() {
    std::string out;
    if (random_.Chance(15)) out += " offset " + random_.Text({"1m", "-1m", "37s", "5m"});
    if (random_.Chance(10)) out += " @ " + random_.Text({"600", "start()", "end()", "333.25"});
    return out;
  }
  std::string RangeOf(int depth) {
    const std::string range = random_.Text({"30s", "1m", "95s", "5m", "10s"});
    if (depth > 0 && random_.Chance(25)) {
      return "(" + VectorOf(depth - 1) + ")[" + range + ":" + random_.Text({"15s", "20s", "1m"}) +
             "]" + Modifiers();
    }
    return Selector() + "[" + range + "]" + Modifiers();
  }
  std::string RangeCall(int depth) {
    const std::string name = random_.Text(
        {"rate", "increase", "delta", "irate", "idelta", "changes", "resets", "sum_over_time",
         "avg_over_time", "min_over_time", "max_over_time", "count_over_time", "last_over_time",
         "present_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time"});
    if (name == "quantile_over_time") return name + "(0.25, " + RangeOf(depth - 1) + ")";
    return name + "(" + RangeOf(depth - 1) + ")";
  }
  std::string Aggregation(const std::string& inner) {
    const std::string by =
        random_.Text({"", " by (g)", " by (i)", " without (i)", " by (extra, g)"});
    const std::string op = random_.Text(
        {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"});
    return op + by + "(" + (op == "quantile" ? "0.75, " : "") + inner + ")";
  }
  std::string Joined(const std::string& left, int depth) {
    const std::string right = random_.Chance(50) ? left : VectorOf(depth - 1);
    const std::string match = random_.Text({"", "", " on (i)", " ignoring (g)", " on (g)"});
    if (random_.Chance(30)) {
      return fmt::format("({} {}{} {})", left, random_.Text({"and", "or", "unless"}), match, right);
    }
    std::string group;
    if (!match.empty() && random_.Chance(50)) {
      group = random_.Text({" group_left ()", " group_right ()", " group_left (extra)"});
    }
    return fmt::format("({} {}{}{} {})", left, random_.Text({"+", "-", "*", "/", "<", ">= bool"}),
                       match, group, right);
  }

  Random& random_;
};

bool Close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::fabs(a - b) <= 1e-9 * std::max({1.0, std::fabs(a), std::fabs(b)});
}

Pairs PairsOf(const Labels& labels) {
  Pairs out;
  for (const LabelView& pair : labels) out.emplace(pair.name, pair.value);
  return out;
}

class EngineAgainstNaive : public ::testing::TestWithParam<uint64_t> {};

TEST_P(EngineAgainstNaive, EveryStepOfEveryExpression) {
  Random random(GetParam());
  const Matrix data = RandomData(random);
  MemoryStore store;
  for (const auto& [pairs, points] : data) {
    LabelsBuilder builder;
    for (const auto& [name, value] : pairs) builder.Set(name, value);
    for (const auto& [t, value] : points) store.AppendFloat(builder.Build(), t, value);
  }
  ThreadPool pool("naive", 1);
  Engine engine({.pool = &pool});
  Expressions expressions(random);
  int failed = 0;
  int filled = 0;
  for (int n = 0; n < 400; ++n) {
    const std::string query = expressions.VectorOf(static_cast<int>(1 + random.Below(3)));
    const auto start = static_cast<int64_t>(random.Below(1'300)) * 1000;
    const int64_t step = random.Pick(std::vector<int64_t>{15'000, 20'000, 61'700, 1'000});
    const int64_t end = start + step * static_cast<int64_t>(random.Below(8));
    SCOPED_TRACE(fmt::format("{} from {} to {} step {}", query, start, end, step));
    const Result<ExprPtr> expr = ParseExpr(query);
    ASSERT_TRUE(expr.ok()) << expr.status().message();
    const Result<QueryResult> result = engine.Range(store, query, start, end, step);

    Naive naive(data, start, end);
    std::map<Pairs, Points> want;
    for (int64_t t = start; t <= end; t += step) {
      for (const auto& [labels, value] : naive.At(**expr, t)) want[labels].emplace_back(t, value);
    }
    ASSERT_EQ(result.ok(), !naive.failed()) << result.status().message();
    if (!result.ok()) {
      ++failed;
      continue;
    }
    filled += !want.empty();
    ASSERT_EQ(result->matrix.size(), want.size());
    for (const RangeSeries& series : result->matrix) {
      const auto at = want.find(PairsOf(series.labels));
      ASSERT_NE(at, want.end()) << series.labels.ToString();
      ASSERT_EQ(series.samples.size(), at->second.size()) << series.labels.ToString();
      for (size_t i = 0; i < series.samples.size(); ++i) {
        ASSERT_EQ(series.samples.timestamps_ms[i], at->second[i].first);
        ASSERT_TRUE(Close(series.samples.values[i], at->second[i].second))
            << series.labels.ToString() << " at " << at->second[i].first << ": "
            << series.samples.values[i] << " instead of " << at->second[i].second;
      }
    }
  }
  // The grammar is worth something: most expressions give an answer, some are refused.
  EXPECT_GT(filled, 150);
  EXPECT_GT(failed, 5);
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineAgainstNaive, ::testing::Values(1, 2, 3, 4, 5, 6));

}  // namespace
}  // namespace narthex::promql
