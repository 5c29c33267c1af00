// Subqueries: the inner expression over a step grid of its own.
#include "promql/engine/evaluator.h"

namespace narthex::promql {

StepGrid SubqueryGrid(const SubqueryExpr& subquery, const StepGrid& outer,
                      const std::function<int64_t(int64_t range_ms)>& default_step_ms) {
  const int64_t range = subquery.range.nanos / kNanosPerMilli;
  int64_t step = subquery.step.nanos / kNanosPerMilli;
  if (subquery.step.nanos == 0) step = default_step_ms(range);
  if (step <= 0) step = 1;
  const bool fixed = subquery.at != AtModifier::kNone;
  const int64_t offset = subquery.offset.nanos / kNanosPerMilli;
  // From the left end of the first step's window to the last step, on multiples of the resolution
  // since the epoch.
  const int64_t first = (fixed ? subquery.at_ms : outer.start_ms) - offset;
  const int64_t last = fixed ? first : outer.TimeAt(outer.steps() - 1) - offset;
  int64_t start = step * ((first - range) / step);
  if (start <= first - range) start += step;
  return {start, last, step};
}

Result<Evaluator::SubqueryResult> Evaluator::RunSubquery(const SubqueryExpr& subquery) {
  const QueryProfile::Scope scope(query_->profile, subquery);
  SubqueryResult result;
  result.grid = SubqueryGrid(subquery, grid_, query_->default_subquery_step_ms);
  // Only a parent of several steps asks which of the child's steps it consumed; a grid that is too
  // fine is refused by Eval before anything is counted.
  const bool per_step = steps_ > 1 && result.grid.steps() <= query_->samples_max;
  if (per_step) result.stats = SampleStats(result.grid);
  Evaluator child(query_, result.grid, &result.stats);
  NARTHEX_TRY(result.value, child.Eval(*subquery.expr));
  stats_->UpdatePeak(result.stats.peak());
  stats_->AddSeries(result.stats.series());
  return result;
}

// A subquery that is the whole query.
Result<Value> Evaluator::EvalSubquery(const SubqueryExpr& subquery) {
  NARTHEX_TRY(SubqueryResult result, RunSubquery(subquery));
  const SampleStats::Consumer consumer{.grid = grid_};
  stats_->MergeTotalOfSubquery(result.stats, consumer);
  stats_->MergeReadOfSubquery(result.stats, consumer);
  Value value;
  value.type = ValueType::kMatrix;
  for (VectorSeries& series : result.value.vector) {
    MatrixSeries points{std::move(series.labels), series.drop_name, {}};
    series.column.ForEach([&](size_t step) {
      const int64_t time = result.grid.TimeAt(step);
      if (const HistogramPtr& histogram = series.column.histogram(step)) {
        points.samples.AddHistogram(time, histogram);
      } else {
        points.samples.AddFloat(time, series.column.value(step));
      }
    });
    value.matrix.push_back(std::move(points));
  }
  return value;
}

}  // namespace narthex::promql
