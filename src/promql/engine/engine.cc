#include "promql/engine/engine.h"

#include <algorithm>
#include <thread>

#include "promql/engine/evaluator.h"
#include "promql/engine/explain.h"
#include "promql/engine/pattern_sort.h"
#include "promql/engine/query_gate.h"
#include "promql/engine/query_log.h"
#include "promql/plan/plan.h"
#include "util/strings.h"
#include "util/thread_pool.h"
#include "util/time.h"
#include "util/trace.h"

namespace narthex::promql {
namespace {

constexpr int64_t kDefaultSubqueryStepMs = 60'000;
// A query that has worked for so long is not a short one.
constexpr int64_t kYieldAfterNs = 20 * kNanosPerMilli;

// A slot of the gate, given back at the end of the scope.
class Slot {
 public:
  static Result<Slot> Enter(QueryGate* gate, std::string_view query, const std::stop_token& stop,
                            int64_t deadline_ns) {
    if (gate == nullptr) return Slot(nullptr, 0);
    NARTHEX_TRY(const size_t slot, gate->Enter(query, stop, deadline_ns));
    return Slot(gate, slot);
  }
  Slot(Slot&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), slot_(other.slot_) {}
  Slot& operator=(Slot&&) = delete;
  ~Slot() {
    if (gate_ != nullptr) gate_->Leave(slot_);
  }

 private:
  Slot(QueryGate* gate, size_t slot) : gate_(gate), slot_(slot) {}
  QueryGate* gate_;
  size_t slot_;
};

// Adds the time of its scope.
class Timer {
 public:
  explicit Timer(int64_t* nanos) : nanos_(nanos), start_(MonotonicNanos()) {}
  ~Timer() { *nanos_ += MonotonicNanos() - start_; }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  int64_t* nanos_;
  int64_t start_;
};

// At the end of the scope tells how much memory the query held, and whether it was refused for it.
class MemoryReport {
 public:
  MemoryReport(const MemoryAccount& account, QueryStats* stats, std::atomic<uint64_t>* refusals)
      : account_(account), stats_(stats), refusals_(refusals) {}
  ~MemoryReport() {
    stats_->peak_bytes = account_.peak_bytes();
    if (account_.refused()) ++*refusals_;
  }
  MemoryReport(const MemoryReport&) = delete;
  MemoryReport& operator=(const MemoryReport&) = delete;

 private:
  const MemoryAccount& account_;
  QueryStats* stats_;
  std::atomic<uint64_t>* refusals_;
};

// The stricter of what the query asks for and the ceiling; asking for more is refused.
Result<uint64_t> Tighten(std::string_view name, uint64_t wanted, uint64_t ceiling) {
  if (wanted == 0) return ceiling;
  if (ceiling == 0 || wanted <= ceiling) return wanted;
  return MakeError(ErrorCode::kInvalidInput, "requested {} of {} exceeds the server limit of {}",
                   name, wanted, ceiling);
}

storage::SampleColumns ToSamples(const StepColumn& column, const StepGrid& grid) {
  storage::SampleColumns samples;
  const size_t count = column.Count();
  samples.timestamps_ms.reserve(count);
  samples.values.reserve(count);
  column.ForEach([&](size_t step) {
    if (const HistogramPtr& histogram = column.histogram(step)) {
      samples.AddHistogram(grid.TimeAt(step), histogram);
    } else {
      samples.AddFloat(grid.TimeAt(step), column.value(step));
    }
  });
  return samples;
}

template <typename Series>
Status SortByLabels(std::vector<Series>* all, const Cancellation& cancellation) {
  const auto less = [](const Series& a, const Series& b) { return a.labels < b.labels; };
  // Blocks give their series in order, and many operators keep it.
  if (std::is_sorted(all->begin(), all->end(), less)) return {};
  const auto done = [&] { return cancellation.Check("query execution"); };
  if (PatternSort(std::span(*all), less, [&] { return !done().ok(); })) return {};
  return done();
}

}  // namespace

struct Engine::Request {
  storage::Queryable* store = nullptr;
  ExprPtr expr;
  std::string_view query;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;  // 0: instant.
  const QueryOptions* options = nullptr;
  // Resolved against the engine's.
  QueryCostLimits cost;
  int64_t deadline_ns = 0;
  int64_t lookback_ms = 0;
  int64_t queued_ns = 0;  // Waiting for a slot to parse in.
  QueryProfile* profile = nullptr;

  bool instant() const { return step_ms == 0; }
};

Engine::Engine(EngineOptions options) : options_(std::move(options)) {
  if (!options_.default_subquery_step_ms) {
    options_.default_subquery_step_ms = [](int64_t) { return kDefaultSubqueryStepMs; };
  }
}

Engine::~Engine() = default;

Result<Engine::Request> Engine::Prepare(storage::Queryable& store, std::string_view query,
                                        const QueryOptions& options) {
  Request request;
  request.store = &store;
  request.query = query;
  request.options = &options;
  int64_t timeout = options_.timeout_ns;
  if (options.timeout_ns > 0) timeout = std::min(timeout, options.timeout_ns);
  if (options_.query_cost) {
    QueryCostLimits limits;
    {
      const std::lock_guard lock(mutex_);
      limits = cost_limits_;
    }
    NARTHEX_TRY(request.cost.series_max,
                Tighten("max_series", options.cost.series_max, limits.series_max));
    NARTHEX_TRY(
        request.cost.samples_read_max,
        Tighten("max_samples_read", options.cost.samples_read_max, limits.samples_read_max));
    const int64_t ceiling =
        limits.duration_max_ns > 0 ? limits.duration_max_ns : options_.timeout_ns;
    if (options.cost.duration_max_ns > ceiling) {
      return MakeError(ErrorCode::kInvalidInput,
                       "requested max_query_duration of {} exceeds the server limit of {}",
                       FormatGoDuration(options.cost.duration_max_ns), FormatGoDuration(ceiling));
    }
    if (limits.duration_max_ns > 0 || options.cost.duration_max_ns > 0) {
      request.cost.duration_max_ns =
          options.cost.duration_max_ns > 0 ? options.cost.duration_max_ns : ceiling;
      timeout = request.cost.duration_max_ns;
      if (options.timeout_ns > 0) timeout = std::min(timeout, options.timeout_ns);
    }
  }
  request.deadline_ns = MonotonicNanos() + timeout;
  return request;
}

Status Engine::Parse(Request* request) {
  Timer timer(&request->queued_ns);
  NARTHEX_TRY(const Slot slot, Slot::Enter(options_.gate, request->query, request->options->stop,
                                           request->deadline_ns));
  NARTHEX_TRY(request->expr, ParseExpr(request->query, options_.parser));
  return {};
}

Result<QueryResult> Engine::Instant(storage::Queryable& store, std::string_view query,
                                    int64_t time_ms, const QueryOptions& options) {
  NARTHEX_TRY(Request request, Prepare(store, query, options));
  NARTHEX_RETURN_IF_ERROR(Parse(&request));
  request.start_ms = request.end_ms = time_ms;
  return Run(&request);
}

Result<QueryResult> Engine::Instant(storage::Queryable& store, const Expr& expr,
                                    std::string_view query, int64_t time_ms,
                                    const QueryOptions& options) {
  NARTHEX_TRY(Request request, Prepare(store, query, options));
  request.expr = Clone(expr);
  request.start_ms = request.end_ms = time_ms;
  return Run(&request);
}

Result<QueryResult> Engine::Range(storage::Queryable& store, std::string_view query,
                                  int64_t start_ms, int64_t end_ms, int64_t step_ms,
                                  const QueryOptions& options) {
  NARTHEX_TRY(Request request, Prepare(store, query, options));
  NARTHEX_RETURN_IF_ERROR(Parse(&request));
  NARTHEX_RETURN_IF_ERROR(SetRange(&request, start_ms, end_ms, step_ms));
  return Run(&request);
}

Result<QueryResult> Engine::Range(storage::Queryable& store, const Expr& expr,
                                  std::string_view query, int64_t start_ms, int64_t end_ms,
                                  int64_t step_ms, const QueryOptions& options) {
  NARTHEX_TRY(Request request, Prepare(store, query, options));
  request.expr = Clone(expr);
  NARTHEX_RETURN_IF_ERROR(SetRange(&request, start_ms, end_ms, step_ms));
  return Run(&request);
}

Status Engine::SetRange(Request* request, int64_t start_ms, int64_t end_ms, int64_t step_ms) {
  const ValueType type = TypeOf(*request->expr);
  if (type != ValueType::kVector && type != ValueType::kScalar) {
    return MakeError(ErrorCode::kInvalidInput,
                     "invalid expression type {} for range query, must be Scalar or instant Vector",
                     GoQuote(ValueTypeName(type)));
  }
  if (step_ms <= 0) {
    return Status(ErrorCode::kInvalidInput,
                  "zero or negative query resolution step widths are not accepted. Try a positive "
                  "integer");
  }
  request->start_ms = start_ms;
  request->end_ms = end_ms;
  request->step_ms = step_ms;
  return {};
}

Result<Plan> Engine::MakePlanOf(Request* request) const {
  request->lookback_ms = request->options->lookback_delta_ms > 0
                             ? request->options->lookback_delta_ms
                             : options_.lookback_delta_ms;
  return MakePlan(std::move(request->expr),
                  {.start_ms = request->start_ms,
                   .end_ms = request->end_ms,
                   .step_ms = request->step_ms,
                   .lookback_delta_ms = request->lookback_ms,
                   .share = options_.share_results,
                   .default_subquery_step_ms = options_.default_subquery_step_ms});
}

Result<QueryResult> Engine::Run(Request* request) {
  NARTHEX_TRY(const Plan plan, MakePlanOf(request));
  return RunPlan(*request, plan);
}

Result<Explanation> Engine::Explain(storage::Queryable& store, std::string_view query,
                                    int64_t start_ms, int64_t end_ms, int64_t step_ms, bool analyze,
                                    const QueryOptions& options) {
  NARTHEX_TRY(Request request, Prepare(store, query, options));
  NARTHEX_RETURN_IF_ERROR(Parse(&request));
  request.start_ms = request.end_ms = start_ms;
  if (step_ms > 0) NARTHEX_RETURN_IF_ERROR(SetRange(&request, start_ms, end_ms, step_ms));
  Explanation explanation;
  explanation.type = TypeOf(*request.expr);
  NARTHEX_TRY(const Plan plan, MakePlanOf(&request));
  QueryProfile profile;
  if (analyze) {
    request.profile = &profile;
    NARTHEX_TRY(QueryResult result, RunPlan(request, plan));
    explanation.analyzed = true;
    explanation.stats = std::move(result.stats);
    explanation.warnings = std::move(result.warnings);
    explanation.infos = std::move(result.infos);
  }
  explanation.grid = {request.start_ms, request.end_ms, request.instant() ? 1 : request.step_ms};
  explanation.root = ExplainPlan(plan, query, explanation.grid, options_.default_subquery_step_ms,
                                 request.profile);
  return explanation;
}

Result<QueryResult> Engine::RunPlan(const Request& request, const Plan& plan) {
  ScopedSpan span("promqlExec");
  if (span->recording()) span->Set("query", std::string(request.query));
  QueryStats stats;
  stats.timings.queue = request.queued_ns;
  ++counters_.queries;
  Result<QueryResult> result = Execute(request, plan, &stats);
  --counters_.queries;
  counters_.samples_total += static_cast<uint64_t>(stats.total_queryable_samples);
  counters_.samples_read_total += static_cast<uint64_t>(stats.samples_read);
  const Status status = result.ok() ? Status() : result.status();
  if (result.ok()) result->stats = stats;
  WriteLog(request, status, stats);
  if (options_.on_duration) {
    const auto seconds = [](int64_t nanos) { return static_cast<double>(nanos) / 1e9; };
    options_.on_duration("queue_time", seconds(stats.timings.queue));
    options_.on_duration("prepare_time", seconds(stats.timings.preparation));
    options_.on_duration("inner_eval", seconds(stats.timings.inner_eval));
    options_.on_duration("result_sort", seconds(stats.timings.result_sort));
  }
  if (options_.on_finished) {
    std::string_view rejected_by;
    if (!status.ok() && status.code() == ErrorCode::kLimitExceeded) {
      const bool series = status.message().find("series") != std::string::npos;
      rejected_by = series ? "max_series" : "max_samples_read";
    } else if (!status.ok() && status.code() == ErrorCode::kTimeout &&
               request.cost.duration_max_ns > 0) {
      rejected_by = "max_duration";
    }
    options_.on_finished(stats, rejected_by);
  }
  return result;
}

Result<QueryResult> Engine::Execute(const Request& request, const Plan& plan, QueryStats* stats) {
  const QueryOptions& options = *request.options;
  QueryTimings& timings = stats->timings;
  Timer exec_timer(&timings.exec_total);
  std::optional<Timer> queue_timer(std::in_place, &timings.queue);
  std::optional<ScopedSpan> queue_span(std::in_place, "promqlExecQueue");
  NARTHEX_TRY(const Slot slot,
              Slot::Enter(options_.gate, request.query, options.stop, request.deadline_ns));
  queue_timer.reset();
  queue_span.reset();
  Timer eval_timer(&timings.eval_total);
  const ScopedSpan eval_span("promqlEval");

  std::unique_ptr<storage::Querier> querier;  // Outlives what the state shares of its series.
  QueryState state;
  state.plan = &plan;
  state.pool = options_.pool;
  state.default_subquery_step_ms = options_.default_subquery_step_ms;
  state.lookback_ms = request.lookback_ms;
  state.delayed_name_removal = options_.delayed_name_removal;
  state.type_and_unit_labels = options_.type_and_unit_labels;
  state.start_timestamps = options.use_start_timestamps.value_or(options_.use_start_timestamps);
  state.cancellation = {.stop = options.stop,
                        .deadline_ns = request.deadline_ns,
                        .yield_at_ns = options.yields ? MonotonicNanos() + kYieldAfterNs : 0,
                        .owner = std::this_thread::get_id()};
  state.queries = &counters_.queries;
  state.memory.SetLimit(options_.memory_max_bytes);
  const MemoryReport memory_report(state.memory, stats, &counters_.memory_refusals_total);
  state.profile = request.profile;
  if (request.profile != nullptr) state.memory.SetCounting();
  state.samples_max = options_.samples_max;
  state.query_cost = options_.query_cost;
  state.series_max = request.cost.series_max;
  state.samples_read_max = request.cost.samples_read_max;
  NARTHEX_RETURN_IF_ERROR(state.CheckDone("query execution"));

  {
    Timer timer(&timings.preparation);
    const ScopedSpan span("promqlPrepare");
    NARTHEX_TRY(querier, request.store->OpenQuerier(plan.range));
    state.querier = querier.get();
  }
  const StepGrid grid{request.start_ms, request.end_ms, request.instant() ? 1 : request.step_ms};
  const bool per_step = options_.per_step_stats && options.per_step_stats;
  SampleStats samples = per_step ? SampleStats(grid) : SampleStats();
  Result<Value> value = Status(ErrorCode::kInternal, "not evaluated");
  {
    Timer timer(&timings.inner_eval);
    const ScopedSpan span("promqlInnerEval");
    Evaluator evaluator(&state, grid, &samples);
    value = evaluator.Eval(*plan.root);
    if (value.ok() && options_.delayed_name_removal) {
      if (Status removed = evaluator.RemoveDelayedNames(&*value); !removed.ok()) value = removed;
    }
  }
  stats->total_queryable_samples = samples.total();
  stats->samples_read = samples.read();
  stats->series_touched = samples.series();
  stats->peak_samples = samples.peak();
  stats->per_step = per_step;
  for (size_t step = 0; per_step && step < grid.steps(); ++step) {
    stats->total_queryable_samples_per_step.emplace_back(grid.TimeAt(step),
                                                         samples.total_per_step()[step]);
    stats->samples_read_per_step.emplace_back(grid.TimeAt(step), samples.read_per_step()[step]);
  }
  if (!value.ok()) return value.status();
  NARTHEX_RETURN_IF_ERROR(state.CheckDone("expression evaluation"));

  QueryResult result;
  result.timestamp_ms = request.start_ms;
  result.warnings = state.annotations.Warnings(request.query);
  result.infos = state.annotations.Infos(request.query);
  result.type = request.instant() ? value->type : ValueType::kMatrix;
  if (value->type == ValueType::kString) {
    result.string = std::move(value->string);
    return result;
  }
  if (value->type == ValueType::kScalar && request.instant()) {
    result.scalar = value->scalar[0];
    return result;
  }
  if (value->type == ValueType::kScalar) {
    RangeSeries series;
    for (size_t step = 0; step < value->scalar.size(); ++step) {
      series.samples.AddFloat(grid.TimeAt(step), value->scalar[step]);
    }
    if (!series.samples.empty()) result.matrix.push_back(std::move(series));
    return result;
  }
  if (value->type == ValueType::kVector && request.instant()) {
    result.vector.reserve(value->vector.size());
    for (VectorSeries& series : value->vector) {
      result.vector.push_back({std::move(series.labels), request.start_ms, series.column.value(0),
                               series.column.histogram(0)});
    }
    return result;
  }
  result.start_ms = grid.start_ms;
  result.step_ms = grid.interval_ms;
  CancelTicker ticker(state.cancellation, grid.steps());
  MemoryHold memory(&state.memory);
  for (VectorSeries& series : value->vector) {
    NARTHEX_RETURN_IF_ERROR(ticker.Tick());
    if (options.columns) {
      result.columns.push_back({std::move(series.labels), std::move(series.column)});
    } else {
      result.matrix.push_back({std::move(series.labels), ToSamples(series.column, grid)});
      if (!memory.counting()) continue;
      const storage::SampleColumns& samples_made = result.matrix.back().samples;
      NARTHEX_RETURN_IF_ERROR(
          memory.Grow(samples_made.size() * (sizeof(int64_t) + sizeof(double))));
    }
  }
  for (MatrixSeries& series : value->matrix) {
    result.matrix.push_back({std::move(series.labels), std::move(series.samples)});
  }
  Timer sort_timer(&timings.result_sort);
  const ScopedSpan sort_span("promqlSort");
  NARTHEX_RETURN_IF_ERROR(SortByLabels(&result.matrix, state.cancellation));
  NARTHEX_RETURN_IF_ERROR(SortByLabels(&result.columns, state.cancellation));
  return result;
}

void Engine::WriteLog(const Request& request, const Status& status, const QueryStats& stats) {
  std::shared_ptr<QueryLog> log;
  {
    const std::lock_guard lock(mutex_);
    log = log_;
  }
  if (log == nullptr) return;
  const Status written = log->Write({.query = request.query,
                                     .start_ms = request.start_ms,
                                     .end_ms = request.end_ms,
                                     .step_ms = request.step_ms,
                                     .status = status,
                                     .stats = &stats,
                                     .origin = &request.options->origin});
  if (!written.ok()) ++counters_.log_failures_total;
}

void Engine::SetQueryLog(std::unique_ptr<QueryLog> log) {
  const std::lock_guard lock(mutex_);
  log_ = std::move(log);
}

bool Engine::query_log_enabled() const {
  const std::lock_guard lock(mutex_);
  return log_ != nullptr;
}

void Engine::SetQueryCostLimits(const QueryCostLimits& limits) {
  const std::lock_guard lock(mutex_);
  cost_limits_ = limits;
}

}  // namespace narthex::promql
