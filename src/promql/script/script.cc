#include "promql/script/script.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <utility>

#include "exposition/classic_histogram.h"
#include "promql/engine/engine.h"
#include "promql/script/commands.h"
#include "promql/script/compare.h"
#include "promql/script/memory_store.h"
#include "util/file.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::promql {
namespace script {
namespace {

constexpr int64_t kMinuteMs = 60'000;

// Adds, for the classic histograms of a load block, histograms with custom buckets.
Status LoadCustomBuckets(const LoadCommand& command, MemoryStore* store) {
  std::map<Labels, std::map<int64_t, exposition::ClassicHistogram>> histograms;
  for (const LoadSeries& series : command.series) {
    std::string_view base;
    const exposition::HistogramPart part =
        exposition::SplitHistogramName(series.labels.metric_name(), &base);
    if (part == exposition::HistogramPart::kNone) continue;
    double bound = 0;
    if (part == exposition::HistogramPart::kBucket) {
      const auto parsed = ParseFloat(series.labels.Get(kBucketLabel));
      if (!parsed.has_value() || parsed != parsed) continue;
      bound = *parsed;
    }
    LabelsBuilder builder(series.labels);
    builder.Set(kMetricNameLabel, base).Delete(kBucketLabel);
    auto& by_time = histograms[builder.Build()];
    for (const LoadSample& sample : series.samples) {
      if (sample.value.histogram != nullptr) continue;
      exposition::ClassicHistogram& histogram = by_time[sample.time_ms];
      // Errors stick and come out of Convert().
      Status status;
      switch (part) {
        case exposition::HistogramPart::kBucket:
          status = histogram.SetBucket(bound, sample.value.value);
          break;
        case exposition::HistogramPart::kCount:
          status = histogram.SetCount(sample.value.value);
          break;
        default: status = histogram.SetSum(sample.value.value); break;
      }
    }
  }
  for (auto& [labels, by_time] : histograms) {
    for (auto& [time, histogram] : by_time) {
      NARTHEX_TRY(exposition::AnyHistogram converted, histogram.Convert());
      store->AppendHistogram(labels, time,
                             converted.integer.has_value() ? converted.integer->ToFloat()
                                                           : *std::move(converted.floating));
    }
  }
  return {};
}

Status Load(const LoadCommand& command, MemoryStore* store) {
  for (const LoadSeries& series : command.series) {
    for (const LoadSample& sample : series.samples) {
      if (sample.value.histogram != nullptr) {
        store->AppendHistogram(series.labels, sample.time_ms, *sample.value.histogram,
                               sample.start_ms);
      } else {
        store->AppendFloat(series.labels, sample.time_ms, sample.value.value, sample.start_ms);
      }
    }
  }
  return command.with_nhcb ? LoadCustomBuckets(command, store) : Status();
}

bool DependsOnTime(std::string_view function) {
  constexpr std::array<std::string_view, 15> kNames = {
      "days_in_month", "day_of_month", "day_of_week", "day_of_year", "end",
      "hour",          "minute",       "month",       "year",        "predict_linear",
      "range",         "start",        "step",        "time",        "timestamp"};
  for (const std::string_view name : kNames) {
    if (name == function) return true;
  }
  return false;
}

// Fixes the time of every selector and subquery that has none and lies in no subquery that has one.
// False: a function in it depends on the time of evaluation all the same.
bool FixTime(Expr& expr, int64_t time_ms) {
  const auto fix = [time_ms](auto& node) {
    if (node.at != AtModifier::kNone) return;
    node.at = AtModifier::kTimestamp;
    node.at_ms = time_ms;
  };
  if (expr.kind == Expr::Kind::kVectorSelector) {
    fix(expr.As<VectorSelector>());
    return true;
  }
  if (expr.kind == Expr::Kind::kMatrixSelector) {
    fix(*expr.As<MatrixSelector>().selector);
    return true;
  }
  if (expr.kind == Expr::Kind::kSubquery) {
    // What is inside moves with the subquery, and that is fixed from here on.
    fix(expr.As<SubqueryExpr>());
    return true;
  }
  if (expr.kind == Expr::Kind::kCall && DependsOnTime(expr.As<Call>().function->name)) {
    return false;
  }
  bool fixed = true;
  for (Expr* child : Children(expr)) fixed = FixTime(*child, time_ms) && fixed;
  return fixed;
}

bool UsesQueryContext(std::string_view query) {
  for (const std::string_view call : {"start()", "end()", "range()", "step()"}) {
    if (query.find(call) != std::string_view::npos) return true;
  }
  return false;
}

class Runner {
 public:
  explicit Runner(const ScriptOptions& options)
      : engine_({.samples_max = options.samples_max,
                 .timeout_ns = 100'000'000'000,
                 .delayed_name_removal = true,
                 .use_start_timestamps = true,
                 .parser = ScriptParserOptions(),
                 .pool = options.pool}) {}

  MemoryStore* store() { return &store_; }

  Status Evaluate(const EvalCommand& command) {
    if (command.is_range) return EvaluateRange(command);
    NARTHEX_RETURN_IF_ERROR(EvaluateInstant(command, command.query, command.time_ms));
    NARTHEX_TRY(const ExprPtr expr, ParseExpr(command.query, ScriptParserOptions()));
    const int64_t time = command.time_ms;
    if (!FixTime(*expr, time)) return {};
    const std::string query = Print(*expr);
    std::vector<int64_t> times = {-10 * time, 0, time / 5, time, 10 * time};
    if (time == 0) times = {-1000, 0, 1000};
    for (const int64_t at : times) {
      NARTHEX_RETURN_IF_ERROR(EvaluateInstant(command, query, at));
    }
    return {};
  }

 private:
  // Whether the error was asked for; else what is wrong with it.
  static Status CheckFailure(const EvalCommand& command, const Status& error) {
    if (!command.fail) return error.WithPrefix("error evaluating query: ");
    for (const Expectation& expectation : command.fail_with) {
      if (!expectation.Matches(error.message())) {
        return MakeError(ErrorCode::kInvalidInput, "expected error {} but got: {}",
                         GoQuote(expectation.text), error.message());
      }
    }
    return {};
  }

  Status EvaluateRange(const EvalCommand& command) {
    const Result<QueryResult> result =
        engine_.Range(store_, command.query, command.start_ms, command.end_ms, command.step_ms);
    if (!result.ok()) return CheckFailure(command, result.status());
    if (command.fail) return Status(ErrorCode::kInvalidInput, "expected error but got none");
    NARTHEX_RETURN_IF_ERROR(CheckAnnotations(command, *result));
    return CompareResult(command, *result);
  }

  Status EvaluateInstant(const EvalCommand& command, const std::string& query, int64_t time_ms) {
    const Status status = EvaluateInstantOnly(command, query, time_ms);
    if (status.ok()) return {};
    return status.WithPrefix(query + " at " + std::to_string(time_ms) + " ms: ");
  }

  Status EvaluateInstantOnly(const EvalCommand& command, const std::string& query,
                             int64_t time_ms) {
    const Result<QueryResult> result = engine_.Instant(store_, query, time_ms);
    if (!result.ok()) return CheckFailure(command, result.status());
    if (command.fail) return Status(ErrorCode::kInvalidInput, "expected error but got none");
    NARTHEX_RETURN_IF_ERROR(CheckAnnotations(command, *result));
    NARTHEX_RETURN_IF_ERROR(CompareResult(command, *result));
    if (command.instant_only || UsesQueryContext(query)) return {};
    return EvaluateAsRange(command, query, time_ms, result->type).WithPrefix("range mode: ");
  }

  // The middle one of three steps gives the same as the instant query.
  Status EvaluateAsRange(const EvalCommand& command, const std::string& query, int64_t time_ms,
                         ValueType type) {
    const Result<QueryResult> result =
        engine_.Range(store_, query, time_ms - kMinuteMs, time_ms + kMinuteMs, kMinuteMs);
    if (!result.ok()) return result.status();
    if (command.ordered) return {};
    NARTHEX_RETURN_IF_ERROR(CheckSorted(result->matrix));
    std::vector<InstantSample> vector;
    for (const RangeSeries& series : result->matrix) {
      for (size_t i = 0; i < series.samples.size(); ++i) {
        if (series.samples.timestamps_ms[i] != time_ms) continue;
        vector.push_back(
            {series.labels, time_ms, series.samples.values[i],
             series.samples.histograms.empty() ? nullptr : series.samples.histograms[i]});
      }
    }
    if (type != ValueType::kScalar) return CompareVector(command, vector, /*ordered=*/false);
    if (vector.size() != 1) return Status(ErrorCode::kInvalidInput, "no scalar at that step");
    return CompareScalar(command, vector[0].value);
  }

  MemoryStore store_;
  Engine engine_;
};

}  // namespace
}  // namespace script

Result<ScriptReport> RunScript(std::string_view text, const ScriptOptions& options) {
  NARTHEX_TRY(const std::vector<script::Command> commands, script::ParseScript(text));
  script::Runner runner(options);
  ScriptReport report;
  for (const script::Command& command : commands) {
    if (std::holds_alternative<script::ClearCommand>(command)) {
      runner.store()->Clear();
    } else if (const auto* load = std::get_if<script::LoadCommand>(&command)) {
      NARTHEX_RETURN_IF_ERROR(
          script::Load(*load, runner.store()).WithPrefix(fmt::format("line {}: ", load->line)));
    } else {
      const auto& eval = std::get<script::EvalCommand>(command);
      const Status status = runner.Evaluate(eval);
      if (status.ok()) {
        ++report.passed;
        continue;
      }
      ++report.failed;
      report.failures.push_back({eval.line, eval.query, status.message()});
      if (options.fail_fast) break;
    }
  }
  return report;
}

Result<ScriptReport> RunScriptFile(const std::string& path, const ScriptOptions& options) {
  NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(path));
  return RunScript(text, options);
}

}  // namespace narthex::promql
