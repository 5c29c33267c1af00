// The plan of a query as a tree to look at; with what each operator did when it was analysed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "promql/engine/query_profile.h"
#include "promql/engine/query_result.h"
#include "promql/engine/value.h"
#include "promql/plan/plan.h"

namespace narthex::promql {

// What a selector asks of the store.
struct ExplainSelect {
  TimeRange range;
  int64_t range_ms = 0;   // Of a range selector.
  int64_t offset_ms = 0;  // Back in time.
  std::optional<int64_t> at_ms;
  std::string function;  // The nearest call or aggregation above.
  std::vector<std::string> grouping;
  bool grouping_by = false;
  bool histogram_stats = false;  // Buckets are not looked at.
};

struct ExplainNode {
  std::string_view type;  // As in /api/v1/parse_query, and "stepInvariant".
  std::string name;       // "rate", "sum", "+"; empty where the type says it all.
  std::string expr;       // Out of the query's text; long ones are cut.
  PositionRange position;
  StepGrid grid;      // The steps it is evaluated at.
  bool once = false;  // Its value at the first step serves all of the query's.
  // Equal parts of the query have the same number; unset where there is but one.
  std::optional<uint32_t> shared;
  bool folds = false;  // Takes its operand batch by batch, if that can be made so.
  std::optional<ExplainSelect> select;
  std::optional<OperatorProfile> profile;
  std::vector<ExplainNode> children;
};

struct Explanation {
  ValueType type = ValueType::kNone;
  StepGrid grid;
  ExplainNode root;
  // Only when analysed.
  bool analyzed = false;
  QueryStats stats;
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

// `query` is the text that the plan's positions refer to. Null profile: not analysed.
ExplainNode ExplainPlan(const Plan& plan, std::string_view query, const StepGrid& grid,
                        const std::function<int64_t(int64_t range_ms)>& default_subquery_step_ms,
                        const QueryProfile* profile);

}  // namespace narthex::promql
