// Functions over instant vectors and scalars: mathematics, dates, clamping, sorting, absence.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "promql/engine/evaluator.h"
#include "promql/engine/pattern_sort.h"
#include "util/go_math.h"

namespace narthex::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

using FloatFn = double (*)(double);

// Functions of one float. Null: none of that name.
FloatFn FindFloatFunction(std::string_view name) {
  struct Row {
    std::string_view name;
    FloatFn fn;
  };
  static constexpr Row kRows[] = {
      {"abs", [](double v) { return std::fabs(v); }},
      {"ceil", [](double v) { return std::ceil(v); }},
      {"floor", [](double v) { return std::floor(v); }},
      {"exp", go::Exp},
      {"sqrt", [](double v) { return std::sqrt(v); }},
      {"ln", go::Log},
      {"log2", go::Log2},
      {"log10", go::Log10},
      {"sin", go::Sin},
      {"cos", go::Cos},
      {"tan", go::Tan},
      {"asin", go::Asin},
      {"acos", go::Acos},
      {"atan", go::Atan},
      {"sinh", go::Sinh},
      {"cosh", go::Cosh},
      {"tanh", go::Tanh},
      {"asinh", go::Asinh},
      {"acosh", go::Acosh},
      {"atanh", go::Atanh},
      {"rad", [](double v) { return v * (std::numbers::pi / 180); }},
      {"deg", [](double v) { return v * (180 / std::numbers::pi); }},
      // NaN and both zeros stay what they are.
      {"sgn", [](double v) { return v < 0   ? -1.0
                                    : v > 0 ? 1.0
                                            : v; }},
  };
  for (const Row& row : kRows) {
    if (row.name == name) return row.fn;
  }
  return nullptr;
}

// Go's math.Max and math.Min: NaN wins.
double MaxOf(double a, double b) {
  if (std::isinf(a) && a > 0) return a;
  if (std::isinf(b) && b > 0) return b;
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
double MinOf(double a, double b) {
  return -MaxOf(-a, -b);
}

// The proleptic Gregorian calendar, counted as Go's time package does: in unsigned seconds since
// March 1 of a year so long ago that all 64-bit times lie behind it, and wrapping around where even
// that is not enough (an infinite or NaN value is such a time).
constexpr int64_t kFirstYear = -292'277'022'400;  // A multiple of 400.
constexpr uint64_t kUnixToAbsolute = 9'223'372'028'741'760'000U;
constexpr uint64_t kSecondsPerDay = 86'400;

struct Date {
  int64_t year;
  int month;
  int day;
};
// Of days since the first March 1 (after Howard Hinnant's algorithm: years begin in March, so that
// the leap day comes last).
Date CivilFromDays(uint64_t days) {
  const uint64_t era = days / 146097;
  const uint64_t day_of_era = days % 146097;
  const uint64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const uint64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t mp = (5 * day_of_year + 2) / 153;
  const int day = static_cast<int>(day_of_year - (153 * mp + 2) / 5 + 1);
  const int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  return {kFirstYear + static_cast<int64_t>(year_of_era + era * 400) + (month <= 2 ? 1 : 0), month,
          day};
}
bool IsLeap(int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
constexpr int kDaysBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

// Go's conversion on amd64: what does not fit becomes the smallest integer.
int64_t ToInt64(double v) {
  if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0)) {
    return std::numeric_limits<int64_t>::min();
  }
  return static_cast<int64_t>(v);
}

enum class DatePart : uint8_t {
  kDaysInMonth,
  kDayOfMonth,
  kDayOfWeek,
  kDayOfYear,
  kHour,
  kMinute,
  kMonth,
  kYear,
};
std::optional<DatePart> FindDatePart(std::string_view name) {
  if (name == "days_in_month") return DatePart::kDaysInMonth;
  if (name == "day_of_month") return DatePart::kDayOfMonth;
  if (name == "day_of_week") return DatePart::kDayOfWeek;
  if (name == "day_of_year") return DatePart::kDayOfYear;
  if (name == "hour") return DatePart::kHour;
  if (name == "minute") return DatePart::kMinute;
  if (name == "month") return DatePart::kMonth;
  if (name == "year") return DatePart::kYear;
  return std::nullopt;
}

double PartOf(DatePart part, int64_t seconds) {
  const uint64_t absolute = static_cast<uint64_t>(seconds) + kUnixToAbsolute;
  const uint64_t days = absolute / kSecondsPerDay;
  const uint64_t rest = absolute % kSecondsPerDay;
  if (part == DatePart::kHour) return static_cast<double>(rest / 3600);
  if (part == DatePart::kMinute) return static_cast<double>(rest / 60 % 60);
  // The first March 1 was a Wednesday.
  if (part == DatePart::kDayOfWeek) return static_cast<double>((days + 3) % 7);
  const Date date = CivilFromDays(days);
  const int leap = IsLeap(date.year) ? 1 : 0;
  switch (part) {
    case DatePart::kDayOfMonth: return date.day;
    case DatePart::kMonth: return date.month;
    case DatePart::kYear: return static_cast<double>(date.year);
    case DatePart::kDayOfYear:
      return kDaysBefore[date.month - 1] + date.day + (date.month > 2 ? leap : 0);
    case DatePart::kDaysInMonth:
      return kDaysBefore[date.month] - kDaysBefore[date.month - 1] + (date.month == 2 ? leap : 0);
    default: return 0;
  }
}

}  // namespace

// The labels that a selector pins down, for absent().
Labels AbsentLabels(const Expr& argument) {
  const VectorSelector* selector = nullptr;
  if (argument.kind == Expr::Kind::kVectorSelector) selector = &argument.As<VectorSelector>();
  if (argument.kind == Expr::Kind::kMatrixSelector) {
    selector = argument.As<MatrixSelector>().selector.get();
  }
  LabelsBuilder builder;
  if (selector == nullptr) return {};
  std::vector<std::string_view> seen;
  for (const Matcher& matcher : selector->matchers) {
    if (IsMetadataLabel(matcher.name())) continue;
    const bool again = std::find(seen.begin(), seen.end(), matcher.name()) != seen.end();
    if (matcher.type() == MatchType::kEqual && !again) {
      builder.Set(matcher.name(), matcher.value());
      seen.push_back(matcher.name());
    } else {
      builder.Delete(matcher.name());
    }
  }
  return builder.Build();
}

template <typename Fn>
Result<Value> Evaluator::MapFloats(const Value& input, int64_t before, size_t scalars, Fn&& fn) {
  // Gathering happens before the histograms go.
  VectorValue output;
  output.reserve(input.vector.size());
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    VectorSeries mapped{ResultLabels(series.labels), true, StepColumn(steps_)};
    const double* from = series.column.values();
    if (!series.column.has_histograms() && series.column.full()) {
      double* to = mapped.column.values();
      for (size_t step = 0; step < steps_; ++step) to[step] = fn(from[step], step);
      mapped.column.SetAllPresent();
    } else {
      series.column.ForEach([&](size_t step) {
        if (series.column.histogram(step) == nullptr) mapped.column.Set(step, fn(from[step], step));
      });
    }
    output.push_back(std::move(mapped));
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, scalars);
}

Result<Value> Evaluator::EvalVectorCall(const Call& call) {
  const std::string_view name = call.function->name;
  const int64_t before = query_->current_samples;
  if (const FloatFn fn = FindFloatFunction(name); fn != nullptr) {
    NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
    return MapFloats(input, before, 0, [fn](double v, size_t) { return fn(v); });
  }
  if (name.starts_with("sort_by_label")) return EvalSortByLabel(call);
  if (name.starts_with("sort")) return EvalSort(call);
  if (name.starts_with("clamp")) return EvalClamp(call);
  if (name == "round") return EvalRound(call);
  if (name == "scalar") return EvalScalarOf(call);
  if (name == "vector") return EvalVectorOf(call);
  if (name == "absent") return EvalAbsent(call);
  if (name == "timestamp") return EvalTimestampOfExpr(call);
  if (name == "start_timestamp") {
    // Only selectors know start timestamps.
    NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
    const VectorValue* const inputs[] = {&input.vector};
    return FinishVector({}, before, inputs, 0);
  }
  if (name == "max_of" || name == "min_of") return EvalMaxMinOf(call);
  if (name == "pi") {
    return FinishScalar(std::vector<double>(steps_, std::numbers::pi), before, {}, 0);
  }
  if (name == "time") {
    std::vector<double> times(steps_);
    for (size_t step = 0; step < steps_; ++step) {
      times[step] = static_cast<double>(grid_.TimeAt(step)) / 1000;
    }
    return FinishScalar(std::move(times), before, {}, 0);
  }
  if (FindDatePart(name).has_value()) return EvalDate(call);
  return MakeError(ErrorCode::kExecution, "function \"{}\" is not supported yet", name);
}

Result<Value> Evaluator::EvalScalarOf(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value input, Eval(*call.arguments[0]));
  std::vector<double> scalar(steps_, 0);
  std::vector<uint8_t> found(steps_, 0);
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    series.column.ForEach([&](size_t step) {
      if (series.column.histogram(step) != nullptr) return;
      scalar[step] = series.column.value(step);
      if (found[step] < 2) ++found[step];
    });
  }
  for (size_t step = 0; step < steps_; ++step) {
    if (found[step] != 1) scalar[step] = std::nan("");
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishScalar(std::move(scalar), before, inputs, 0);
}

Result<Value> Evaluator::EvalVectorOf(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value input, Eval(*call.arguments[0]));
  StepColumn column(steps_);
  std::copy(input.scalar.begin(), input.scalar.end(), column.values());
  column.SetAllPresent();
  VectorValue vector;
  vector.push_back({{}, false, std::move(column)});
  return FinishVector(std::move(vector), before, {}, 1);
}

Result<Value> Evaluator::EvalAbsent(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value input, Eval(*call.arguments[0]));
  StepColumn column(steps_);
  std::fill_n(column.values(), steps_, 1.0);
  column.SetAllPresent();
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    for (size_t w = 0; w < column.words(); ++w) {
      column.present()[w] &= ~series.column.present()[w];
    }
  }
  VectorValue vector;
  vector.push_back({AbsentLabels(*call.arguments[0]), false, std::move(column)});
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(vector), before, inputs, 0);
}

Result<Value> Evaluator::EvalTimestampOfExpr(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value input, Eval(*call.arguments[0]));
  VectorValue output;
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    StepColumn column(steps_);
    series.column.ForEach(
        [&](size_t step) { column.Set(step, static_cast<double>(grid_.TimeAt(step)) / 1000); });
    output.push_back({ResultLabels(series.labels), true, std::move(column)});
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

Result<Value> Evaluator::EvalClamp(const Call& call) {
  const std::string_view name = call.function->name;
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
  NARTHEX_TRY(const Value second, Eval(*call.arguments[1]));
  std::vector<double> low(steps_, -kInf);
  std::vector<double> high(steps_, kInf);
  if (name == "clamp") {
    NARTHEX_TRY(const Value third, Eval(*call.arguments[2]));
    low = second.scalar;
    high = third.scalar;
  } else if (name == "clamp_max") {
    high = second.scalar;
  } else {
    low = second.scalar;
  }
  VectorValue output;
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    StepColumn column(steps_);
    series.column.ForEach([&](size_t step) {
      if (series.column.histogram(step) != nullptr || high[step] < low[step]) return;
      column.Set(step, MaxOf(low[step], MinOf(high[step], series.column.value(step))));
    });
    output.push_back({ResultLabels(series.labels), true, std::move(column)});
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, call.arguments.size() - 1);
}

Result<Value> Evaluator::EvalRound(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
  std::vector<double> nearest(steps_, 1.0);
  if (call.arguments.size() > 1) {
    NARTHEX_TRY(Value second, Eval(*call.arguments[1]));
    nearest = std::move(second.scalar);
  }
  return MapFloats(input, before, call.arguments.size() - 1, [&nearest](double v, size_t step) {
    const double inverse = 1.0 / nearest[step];
    return std::floor(v * inverse + 0.5) / inverse;
  });
}

Result<Value> Evaluator::EvalMaxMinOf(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value a, Eval(*call.arguments[0]));
  NARTHEX_TRY(const Value b, Eval(*call.arguments[1]));
  std::vector<double> scalar(steps_);
  const bool max = call.function->name == "max_of";
  for (size_t step = 0; step < steps_; ++step) {
    scalar[step] =
        max ? MaxOf(a.scalar[step], b.scalar[step]) : MinOf(a.scalar[step], b.scalar[step]);
  }
  return FinishScalar(std::move(scalar), before, {}, 2);
}

Result<Value> Evaluator::EvalDate(const Call& call) {
  const DatePart part = *FindDatePart(call.function->name);
  const int64_t before = query_->current_samples;
  if (call.arguments.empty()) {
    StepColumn column(steps_);
    for (size_t step = 0; step < steps_; ++step) {
      column.Set(step, PartOf(part, grid_.TimeAt(step) / 1000));
    }
    VectorValue vector;
    vector.push_back({{}, false, std::move(column)});
    return FinishVector(std::move(vector), before, {}, 0);
  }
  NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
  return MapFloats(input, before, 0, [part](double v, size_t) { return PartOf(part, ToInt64(v)); });
}

Result<Value> Evaluator::EvalSort(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
  if (!grid_.single_step()) {
    query_->annotations.Warn(
        "sort is ineffective for range queries since results are always ordered by labels",
        call.position);
  }
  VectorValue output;
  for (VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    StepColumn column(steps_);
    series.column.ForEach([&](size_t step) {
      if (series.column.histogram(step) == nullptr) column.Set(step, series.column.value(step));
    });
    output.push_back({series.labels, series.drop_name, std::move(column)});
  }
  if (grid_.single_step()) {
    std::erase_if(output, [](const VectorSeries& series) { return series.column.empty(); });
    const bool descending = call.function->name == "sort_desc";
    // NaN goes last either way.
    const auto less = [descending](const VectorSeries& a, const VectorSeries& b) {
      const double x = a.column.value(0);
      const double y = b.column.value(0);
      return std::isnan(y) || (descending ? x > y : x < y);
    };
    const auto stop = [this] { return !CheckDone().ok(); };
    if (!PatternSort(std::span(output), less, stop)) return CheckDone();
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

}  // namespace narthex::promql
