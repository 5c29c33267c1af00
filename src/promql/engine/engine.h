// The PromQL engine: evaluates queries over a store, column by column.
//
//   query text ── parse ── plan (constants folded, step-invariant parts marked, hints)
//        ── open a querier over all the time the query touches ── evaluate ── sort ── QueryResult
//
// An instant query is a range query of one step. The value of an instant-vector expression is a set
// of series, each with one dense column of values (one a step) and a bitmap that says which steps
// hold a sample; see step_column.h. The work on series is spread over a thread pool; results do
// not depend on the number of threads.
//
// Errors: kInvalidInput before evaluation (parse errors, a type that cannot be asked for, bad
// durations: the API's bad_data), kExecution, kTimeout, kCanceled, kLimitExceeded (query-cost
// limits: cost_limit), with upstream's texts.
//
// Threads: an engine serves any number of queries at once, from any thread; each call blocks until
// its query is done. It must not run on an event loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "promql/engine/query_result.h"
#include "promql/parser/parser.h"
#include "storage/storage.h"
#include "util/status.h"

namespace narthex {
class ThreadPool;
}

namespace narthex::promql {

class QueryGate;
class QueryLog;
struct Explanation;
struct Plan;

// Limits of the feature query-cost; 0: none.
struct QueryCostLimits {
  uint64_t series_max = 0;
  uint64_t samples_read_max = 0;
  int64_t duration_max_ns = 0;
};

struct EngineOptions {
  size_t samples_max = 50'000'000;  // --query.max-samples
  int64_t memory_max_bytes = 0;     // --query.max-memory; 0: no limit.
  int64_t timeout_ns = 120'000'000'000;
  int64_t lookback_delta_ms = 300'000;
  bool delayed_name_removal = false;  // promql-delayed-name-removal
  bool type_and_unit_labels = false;  // type-and-unit-labels
  bool use_start_timestamps = false;  // use-start-timestamps
  bool per_step_stats = false;        // promql-per-step-stats
  bool query_cost = false;            // query-cost
  // Parts that stand in a query more than once are evaluated once. Answers are the same without.
  bool share_results = true;
  ParserOptions parser;
  // The resolution of `[5m:]`, asked for at each query since it is the reloadable
  // global.evaluation_interval; one minute when not set.
  std::function<int64_t(int64_t range_ms)> default_subquery_step_ms;
  // Null: everything runs on the calling thread. Must outlive the engine.
  ThreadPool* pool = nullptr;
  // Bounds concurrent queries; null: no bound. Must outlive the engine.
  QueryGate* gate = nullptr;
  // Told of the time each part of a query took (prometheus_engine_query_duration_seconds{slice}):
  // queue_time, prepare_time, inner_eval, result_sort.
  std::function<void(std::string_view slice, double seconds)> on_duration;
  // Told of each finished query (prometheus_engine_query_series_touched and _samples_read of
  // query-cost), and of the limit that refused it, if any: max_series, max_samples_read,
  // max_duration.
  std::function<void(const QueryStats& stats, std::string_view rejected_by)> on_finished;
};

// Where a query came from, for the query log: the key ("httpRequest", "ruleGroup") and its members.
struct QueryOrigin {
  std::string kind;
  std::vector<std::pair<std::string, std::string>> members;
};

struct QueryOptions {
  int64_t lookback_delta_ms = 0;             // 0: the engine's.
  std::optional<bool> use_start_timestamps;  // Unset: the engine's.
  bool per_step_stats = false;               // Needs EngineOptions::per_step_stats.
  bool columns = false;    // Range queries fill QueryResult::columns, not its matrix.
  int64_t timeout_ns = 0;  // The smaller of this and the engine's; 0: the engine's.
  QueryCostLimits cost;    // May only tighten the engine's; needs query_cost.
  // When it takes long, its threads go on at lower priority, for short queries to go first.
  bool yields = false;
  std::stop_token stop;  // Cancels the query.
  QueryOrigin origin;
};

// Running totals for /metrics (prometheus_engine_*).
struct EngineCounters {
  std::atomic<int64_t> queries{0};  // Being executed or waiting.
  std::atomic<uint64_t> samples_total{0};
  std::atomic<uint64_t> samples_read_total{0};
  std::atomic<uint64_t> log_failures_total{0};
  std::atomic<uint64_t> memory_refusals_total{0};
};

class Engine {
 public:
  explicit Engine(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // At one time. The result is of any type; a range vector selector gives the raw samples.
  Result<QueryResult> Instant(storage::Queryable& store, std::string_view query, int64_t time_ms,
                              const QueryOptions& options = {});
  // At start, start + step, … up to end; step > 0. Scalars and vectors only; gives a matrix.
  Result<QueryResult> Range(storage::Queryable& store, std::string_view query, int64_t start_ms,
                            int64_t end_ms, int64_t step_ms, const QueryOptions& options = {});

  // The same for a tree that is parsed already; `query` is the text it came from, which
  // annotations' positions refer to. The tree is copied, not changed.
  Result<QueryResult> Instant(storage::Queryable& store, const Expr& expr, std::string_view query,
                              int64_t time_ms, const QueryOptions& options = {});
  Result<QueryResult> Range(storage::Queryable& store, const Expr& expr, std::string_view query,
                            int64_t start_ms, int64_t end_ms, int64_t step_ms,
                            const QueryOptions& options = {});

  // The plan of a query: at one time where step_ms is 0, else at start, start + step, …; with
  // `analyze` it also runs, and operators tell what they did.
  Result<Explanation> Explain(storage::Queryable& store, std::string_view query, int64_t start_ms,
                              int64_t end_ms, int64_t step_ms, bool analyze,
                              const QueryOptions& options = {});

  // Replaces the query log; null switches it off.
  void SetQueryLog(std::unique_ptr<QueryLog> log);
  bool query_log_enabled() const;
  // Replaces the limits of query-cost; running queries keep theirs.
  void SetQueryCostLimits(const QueryCostLimits& limits);

  const EngineOptions& options() const { return options_; }
  const EngineCounters& counters() const { return counters_; }

 private:
  struct Request;
  Result<Request> Prepare(storage::Queryable& store, std::string_view query,
                          const QueryOptions& options);
  Status Parse(Request* request);
  // Refuses a range query of the wrong type, or fills in its times.
  Status SetRange(Request* request, int64_t start_ms, int64_t end_ms, int64_t step_ms);
  Result<Plan> MakePlanOf(Request* request) const;
  Result<QueryResult> Run(Request* request);
  Result<QueryResult> RunPlan(const Request& request, const Plan& plan);
  Result<QueryResult> Execute(const Request& request, const Plan& plan, QueryStats* stats);
  void WriteLog(const Request& request, const Status& status, const QueryStats& stats);

  EngineOptions options_;
  EngineCounters counters_;
  mutable std::mutex mutex_;
  std::shared_ptr<QueryLog> log_;  // Guarded by mutex_; running queries hold it while they write.
  QueryCostLimits cost_limits_;    // Guarded by mutex_.
};

}  // namespace narthex::promql
