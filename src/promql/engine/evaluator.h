// Evaluates a plan: one Evaluator a step grid (the query's, a subquery's, a step-invariant part's),
// all of a query sharing one QueryState.
//
// Threads: an evaluator belongs to the query's thread; it spreads work over series with the pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "promql/engine/annotations.h"
#include "promql/engine/cancellation.h"
#include "promql/engine/column_source.h"
#include "promql/engine/engine.h"
#include "promql/engine/memory_account.h"
#include "promql/engine/query_profile.h"
#include "promql/engine/range_functions.h"
#include "promql/engine/sample_stats.h"
#include "promql/engine/shared_results.h"
#include "promql/engine/value.h"
#include "promql/plan/plan.h"
#include "util/time.h"

namespace narthex {
class ThreadPool;
}

namespace narthex::promql {

// What a query's evaluators share.
struct QueryState {
  const Plan* plan = nullptr;
  storage::Querier* querier = nullptr;
  ThreadPool* pool = nullptr;
  std::function<int64_t(int64_t range_ms)> default_subquery_step_ms;
  int64_t lookback_ms = 0;
  bool delayed_name_removal = false;
  bool type_and_unit_labels = false;
  bool start_timestamps = false;
  Cancellation cancellation;
  // Queries that the engine runs or that wait for it; null: unknown.
  const std::atomic<int64_t>* queries = nullptr;
  size_t samples_max = 0;
  // Limits of query-cost; 0: none.
  bool query_cost = false;
  uint64_t series_max = 0;
  uint64_t samples_read_max = 0;

  // Signed, since upstream gives samples back that it never counted (absent_over_time in a
  // subquery), and then allows for more.
  int64_t current_samples = 0;
  uint64_t cost_series = 0;
  uint64_t cost_samples_read = 0;
  Annotations annotations;
  MemoryAccount memory;
  SharedResults shared;             // After `memory`, from which it holds.
  QueryProfile* profile = nullptr;  // Null: not analysed.

  Status CheckDone(std::string_view where) const { return cancellation.Check(where); }
  // A query that takes long leaves the pool's threads to others while there are any.
  bool WorksAlone() const {
    return cancellation.yield_at_ns != 0 && queries != nullptr &&
           queries->load(std::memory_order_relaxed) > 1 &&
           MonotonicNanos() > cancellation.yield_at_ns;
  }
};

class Evaluator {
 public:
  Evaluator(QueryState* query, const StepGrid& grid, SampleStats* stats)
      : query_(query),
        grid_(grid),
        steps_(grid.steps()),
        stats_(stats),
        ticker_(query->cancellation, steps_) {}

  Result<Value> Eval(const Expr& expr);
  // At the end of a query with delayed name removal: the marked series lose their names.
  Status RemoveDelayedNames(Value* value);

 private:
  // evaluator.cc
  Result<Value> EvalNode(const Expr& expr);
  Result<Value> EvalNumber(const NumberLiteral& expr);
  Result<Value> EvalUnary(const UnaryExpr& expr);
  Result<Value> EvalStepInvariant(const StepInvariantExpr& expr);
  Status CheckDone() const { return query_->CheckDone("expression evaluation"); }
  // The same within loops over series or columns: looks now and then.
  Status Tick() { return ticker_.Tick(); }
  MemoryHold HoldMemory() { return MemoryHold(&query_->memory); }
  // Counts samples in memory; refuses when they are too many.
  Status Hold(size_t samples);
  void Release(size_t samples) { query_->current_samples -= static_cast<int64_t>(samples); }
  Status CheckSamples() const;
  // Columns are dense, so series with few samples on a fine grid take more memory than their
  // samples tell: refuses before it becomes too much.
  Status CheckDense(size_t series) const;
  // What evaluating step by step would have held at most: at each step the elements gathered from
  // the inputs and the results up to then. `before` is the count of samples before the inputs.
  Status AccountSteps(int64_t before, std::span<const VectorValue* const> inputs, size_t scalars,
                      const Value& output);
  Result<Value> FinishVector(VectorValue vector, int64_t before,
                             std::span<const VectorValue* const> inputs, size_t scalars);
  Result<Value> FinishScalar(std::vector<double> scalar, int64_t before,
                             std::span<const VectorValue* const> inputs, size_t scalars);
  Labels ResultLabels(const Labels& labels) const {
    return query_->delayed_name_removal ? labels : DropMetadata(labels);
  }

  // selectors.cc
  Result<SeriesList> Select(const VectorSelector& selector, bool latest_only = false);
  bool ReadsLatest(const VectorSelector& selector) const;
  // A note for the profile, if there is one.
  void ProfileRead(const Expr& expr, const Points& points);
  Result<SelectedSeries> SelectSeries(const storage::SelectHints& hints,
                                      std::span<const Matcher> matchers);
  Result<Value> EvalVectorSelector(const VectorSelector& selector);
  Result<Value> EvalSmoothed(const VectorSelector& selector);
  Result<Value> EvalMatrixSelector(const MatrixSelector& selector);
  Result<Value> EvalTimestamps(const Call& call, const VectorSelector& selector);
  // The times in milliseconds of the samples that an instant selector would give; histograms are
  // refused.
  Result<VectorValue> SampleTimes(const Expr& expr, SeriesList series, std::optional<int64_t> at_ms,
                                  int64_t offset_ms);

  // shared_results.cc
  // Null: the expression stands in the query once.
  SharedResult* FindShared(const Expr& expr);
  Result<Value> EvalShared(const Expr& expr, SharedResult* shared);
  // Whether an expression that could stream is better evaluated as a whole, for others to use.
  Result<bool> IsWorthKeeping(const Expr& expr);
  SharedSelection* FindSelection(const VectorSelector& selector);
  Status FillSelection(const VectorSelector& selector, bool latest_only,
                       SharedSelection* selection);

  // subquery.cc
  struct SubqueryResult {
    Value value;
    StepGrid grid;
    SampleStats stats;
  };
  Result<SubqueryResult> RunSubquery(const SubqueryExpr& subquery);
  Result<Value> EvalSubquery(const SubqueryExpr& subquery);

  // streaming.cc
  // A source for the expression where one exists: else null.
  Result<std::unique_ptr<ColumnSource>> MakeSource(const Expr& expr);
  Result<std::unique_ptr<ColumnSource>> MakeInstantSource(const VectorSelector& selector);
  using ConsumeColumn = std::function<Status(size_t series, StepColumn&& column)>;
  // Called after each batch.
  using BatchDone = std::function<Status()>;
  // Computes all columns and hands those that are not empty to `consume`, in series order, on the
  // calling thread.
  Status Drain(const ColumnSource& source, const ConsumeColumn& consume,
               const BatchDone& batch_done = {});
  Result<VectorValue> Materialize(const ColumnSource& source);

  // calls.cc
  Result<Value> EvalCall(const Call& call);
  Result<Value> EvalRangeCall(const Call& call, RangeFunction function);
  // *subquery_samples: what a subquery made and Release() is to be told of.
  Result<std::unique_ptr<ColumnSource>> MakeRangeSource(const Call& call, RangeFunction function,
                                                        size_t* subquery_samples);
  Result<Value> AbsentOverTime(const Call& call, const VectorValue& present);

  // vector_functions.cc
  Result<Value> EvalVectorCall(const Call& call);
  Result<Value> EvalScalarOf(const Call& call);
  Result<Value> EvalAbsent(const Call& call);
  Result<Value> EvalVectorOf(const Call& call);
  Result<Value> EvalClamp(const Call& call);
  Result<Value> EvalRound(const Call& call);
  Result<Value> EvalDate(const Call& call);
  Result<Value> EvalSort(const Call& call);
  Result<Value> EvalMaxMinOf(const Call& call);
  Result<Value> EvalTimestampOfExpr(const Call& call);
  // Applies fn(value, step) to all floats; histograms go, and so does the name.
  template <typename Fn>
  Result<Value> MapFloats(const Value& input, int64_t before, size_t scalars, Fn&& fn);

  // label_functions.cc
  Result<Value> EvalLabelReplace(const Call& call);
  Result<Value> EvalLabelJoin(const Call& call);
  Result<Value> EvalSortByLabel(const Call& call);

  // info.cc
  Result<Value> EvalInfo(const Call& call);
  Result<VectorValue> FetchInfoSeries(const Call& call, const VectorValue& base,
                                      const std::vector<bool>& ignored,
                                      std::span<const Matcher> data_matchers,
                                      std::span<const Matcher> name_matchers,
                                      const InfoReference& reference);

  // histogram_functions.cc
  Result<Value> EvalHistogramFloat(const Call& call);
  Result<Value> EvalHistogramQuantile(const Call& call);
  Result<Value> EvalHistogramFraction(const Call& call);
  Result<Value> EvalHistogramQuantiles(const Call& call);

  // aggregate.cc, aggregate_select.cc
  Result<Value> EvalAggregate(const AggregateExpr& expr);
  Result<Value> AggregateFold(const AggregateExpr& expr, const std::vector<double>* parameter);
  Result<Value> AggregateSelect(const AggregateExpr& expr, const std::vector<double>& parameter);
  Result<Value> CountValues(const AggregateExpr& expr);
  void WarnOfQuantiles(const AggregateExpr& expr, const std::vector<double>& quantiles);

  // binary.cc, set_operators.cc
  Result<Value> EvalBinary(const BinaryExpr& expr);
  Result<Value> BinaryScalars(const BinaryExpr& expr);
  Result<Value> BinaryVectorScalar(const BinaryExpr& expr);
  Result<Value> BinaryVectors(const BinaryExpr& expr);
  Result<Value> BinarySets(const BinaryExpr& expr);

  QueryState* query_;
  StepGrid grid_;
  size_t steps_;
  SampleStats* stats_;
  CancelTicker ticker_;
};

// The steps that a subquery evaluates its expression at. `outer` has steps.
StepGrid SubqueryGrid(const SubqueryExpr& subquery, const StepGrid& outer,
                      const std::function<int64_t(int64_t range_ms)>& default_step_ms);
// The labels that absent() gives its result.
Labels AbsentLabels(const Expr& argument);
LabelProjection MatchingProjection(const VectorMatching& matching);

}  // namespace narthex::promql
