// Turns a parsed query into what the engine runs: the same tree with everything settled that does
// not need samples.
//
//   start() end() range() step()      become number literals
//   duration expressions              become nanoseconds
//   @ start(), @ end()                become timestamps
//   parentheses around arguments      vanish
//   parts that give the same answer at every step are wrapped in a StepInvariantExpr, so that they
//                                     are evaluated once
//
// and, beside the tree, what each selector asks of the store, and which parts of the tree are the
// same.
// Specification: parity/promql.md section 3.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "promql/parser/ast.h"
#include "storage/storage.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::promql {

struct PlanRequest {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;  // 0: an instant query.
  int64_t lookback_delta_ms = 0;
  // Whether parts that stand in the query more than once are found.
  bool share = true;
  // Resolution of a subquery that names none.
  std::function<int64_t(int64_t range_ms)> default_subquery_step_ms;
};

struct Plan {
  ExprPtr root;
  // All the time that the query can touch: what the querier is opened for. {0, 0} without
  // selectors.
  TimeRange range;
  // Keyed by the selector's node in `root`.
  std::unordered_map<const Expr*, storage::SelectHints> hints;
  // Parts that stand in the query more than once, by the number of their result, and how often each
  // is asked for.
  std::unordered_map<const Expr*, uint32_t> shared;
  std::vector<uint32_t> shared_uses;
  // Selectors that ask the store for the same as another one, by the number of the answer.
  std::unordered_map<const Expr*, uint32_t> selections;
  uint32_t selection_count = 0;
};

// Errors (bad durations) have the code kInvalidInput.
Result<Plan> MakePlan(ExprPtr expr, const PlanRequest& request);

// When the info series of an info() call are looked up: at the time of its argument's selectors
// where those agree, else at the time of evaluation.
struct InfoReference {
  std::optional<int64_t> at_ms;
  int64_t offset_ns = 0;
};
InfoReference InfoReferenceOf(const Expr& argument);

// Details shared by the files of this folder.
namespace plan_internal {

inline int64_t ToMillis(int64_t nanos) {
  return nanos / kNanosPerMilli;
}
// Whether all selectors of an info() argument look at the same time; sets *reference to that of the
// first.
bool UniformInfoReference(const Expr& argument, InfoReference* reference);
// Evaluates duration expressions in place.
Status ResolveDurations(Expr& root, const PlanRequest& request);
// Fills plan->range and plan->hints.
void CollectSelectors(const PlanRequest& request, Plan* plan);
// Fills plan->shared and plan->selections. After CollectSelectors.
void FindShared(Plan* plan);

}  // namespace plan_internal
}  // namespace narthex::promql
