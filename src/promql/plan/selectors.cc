// What each selector asks of the store: its time range, and hints from the nodes around it.
#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "promql/plan/plan.h"

namespace narthex::promql {
namespace plan_internal {
namespace {

using Path = std::vector<const Expr*>;

// Offsets and ranges of the subqueries around a node add up, until one with @ fixes the time.
struct SubqueryShift {
  int64_t offset_ns = 0;
  int64_t range_ns = 0;
  std::optional<int64_t> at_ms;
};

SubqueryShift ShiftOf(const Path& path) {
  SubqueryShift shift;
  for (const Expr* node : path) {
    if (node->kind != Expr::Kind::kSubquery) continue;
    const SubqueryExpr& subquery = node->As<SubqueryExpr>();
    if (subquery.at != AtModifier::kNone) {
      shift = {subquery.offset.nanos, subquery.range.nanos, subquery.at_ms};
    } else {
      shift.offset_ns += subquery.offset.nanos;
      shift.range_ns += subquery.range.nanos;
    }
  }
  return shift;
}

struct SelectorTime {
  std::optional<int64_t> at_ms;
  int64_t offset_ns = 0;
  int64_t range_ns = 0;  // 0: an instant selector.
  bool anchored = false;
  bool smoothed = false;
};

TimeRange RangeOf(const SelectorTime& selector, const Path& path, const PlanRequest& request) {
  TimeRange range{request.start_ms, request.end_ms};
  const SubqueryShift shift = ShiftOf(path);
  if (shift.at_ms.has_value()) range = {*shift.at_ms, *shift.at_ms};
  if (selector.at_ms.has_value()) {
    range = {*selector.at_ms, *selector.at_ms};
  } else {
    range.start_ms -= ToMillis(shift.offset_ns) + ToMillis(shift.range_ns);
    range.end_ms -= ToMillis(shift.offset_ns);
  }
  // Windows are open on the left: a sample exactly at the far end is out.
  int64_t back = selector.range_ns == 0 ? request.lookback_delta_ms : ToMillis(selector.range_ns);
  if (selector.range_ns != 0 && (selector.anchored || selector.smoothed)) {
    back += request.lookback_delta_ms;
  }
  range.start_ms -= back - 1;
  if (selector.smoothed) range.end_ms += request.lookback_delta_ms;
  range.start_ms -= ToMillis(selector.offset_ns);
  range.end_ms -= ToMillis(selector.offset_ns);
  return range;
}

// The nearest function or aggregation above, unless a binary operator comes first.
std::string_view FunctionAbove(const Path& path) {
  for (auto node = path.rbegin(); node != path.rend(); ++node) {
    if ((*node)->kind == Expr::Kind::kAggregate) {
      return AggregateOpName((*node)->As<AggregateExpr>().op);
    }
    if ((*node)->kind == Expr::Kind::kCall) return (*node)->As<Call>().function->name;
    if ((*node)->kind == Expr::Kind::kBinary) return {};
  }
  return {};
}

// Whether only counts and sums of histograms are looked at.
bool OnlyHistogramStats(const Path& path) {
  constexpr std::string_view kStatsOnly[] = {"histogram_count", "histogram_sum",   "histogram_avg",
                                             "timestamp",       "start_timestamp", "absent"};
  constexpr std::string_view kWhole[] = {"histogram_quantile", "histogram_quantiles",
                                         "histogram_fraction", "histogram_stddev",
                                         "histogram_stdvar",   "changes"};
  bool stats = false;
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    const Expr& node = **it;
    if (node.kind == Expr::Kind::kSubquery) return false;
    if (node.kind == Expr::Kind::kCall) {
      const std::string_view name = node.As<Call>().function->name;
      if (std::find(std::begin(kWhole), std::end(kWhole), name) != std::end(kWhole)) return false;
      if (std::find(std::begin(kStatsOnly), std::end(kStatsOnly), name) != std::end(kStatsOnly)) {
        stats = true;
      }
    } else if (node.kind == Expr::Kind::kAggregate) {
      if (node.As<AggregateExpr>().op == AggregateOp::kCountValues) return false;
    } else if (node.kind == Expr::Kind::kBinary) {
      const BinaryOp op = node.As<BinaryExpr>().op;
      if (op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower || op == BinaryOp::kEql ||
          op == BinaryOp::kNeq) {
        return false;
      }
    }
  }
  return stats;
}

class Collector {
 public:
  Collector(const PlanRequest& request, Plan* plan) : request_(request), plan_(plan) {}

  void Visit(const Expr& expr) {
    if (expr.kind == Expr::Kind::kVectorSelector) {
      AddSelector(expr.As<VectorSelector>());
      return;
    }
    if (expr.kind == Expr::Kind::kCall && expr.As<Call>().function->name == "info") {
      // The hidden selection of info series must lie within the querier's range, too.
      const InfoReference reference = InfoReferenceOf(*expr.As<Call>().arguments[0]);
      Widen(RangeOf({.at_ms = reference.at_ms, .offset_ns = reference.offset_ns}, path_, request_));
    }
    path_.push_back(&expr);
    if (expr.kind == Expr::Kind::kMatrixSelector) {
      const MatrixSelector& matrix = expr.As<MatrixSelector>();
      range_ns_ = matrix.range.nanos;
      AddSelector(*matrix.selector);
      range_ns_ = 0;
    } else {
      for (const Expr* child : Children(expr)) Visit(*child);
    }
    path_.pop_back();
  }

  TimeRange range() const { return found_ ? range_ : TimeRange{}; }

 private:
  void Widen(TimeRange range) {
    range_.start_ms = found_ ? std::min(range_.start_ms, range.start_ms) : range.start_ms;
    range_.end_ms = found_ ? std::max(range_.end_ms, range.end_ms) : range.end_ms;
    found_ = true;
  }

  int64_t SubqueryStep() const {
    int64_t step = 0;
    for (const Expr* node : path_) {
      if (node->kind != Expr::Kind::kSubquery) continue;
      const SubqueryExpr& subquery = node->As<SubqueryExpr>();
      step = ToMillis(subquery.step.nanos);
      if (step == 0) step = request_.default_subquery_step_ms(ToMillis(subquery.range.nanos));
    }
    return step;
  }

  void AddSelector(const VectorSelector& selector) {
    SelectorTime time{.offset_ns = selector.offset.nanos,
                      .range_ns = range_ns_,
                      .anchored = selector.anchored,
                      .smoothed = selector.smoothed};
    if (selector.at != AtModifier::kNone) time.at_ms = selector.at_ms;
    const TimeRange range = RangeOf(time, path_, request_);
    Widen(range);

    storage::SelectHints& hints = plan_->hints[&selector];
    hints.start_ms = range.start_ms;
    hints.end_ms = range.end_ms;
    const int64_t subquery_step = SubqueryStep();
    hints.step_ms = subquery_step != 0 ? subquery_step : request_.step_ms;
    hints.range_ms = ToMillis(range_ns_);
    hints.function = FunctionAbove(path_);
    if (!path_.empty() && path_.back()->kind == Expr::Kind::kAggregate) {
      const AggregateExpr& aggregate = path_.back()->As<AggregateExpr>();
      hints.grouping = aggregate.grouping;
      hints.grouping_by = !aggregate.without;
    }
    hints.histogram_stats = OnlyHistogramStats(path_);
  }

  const PlanRequest& request_;
  Plan* plan_;
  Path path_;
  int64_t range_ns_ = 0;
  TimeRange range_;
  bool found_ = false;
};

// Follows the parts of an info() argument that produce its elements.
class InfoInspector {
 public:
  // Whether a selector was found in `expr`.
  bool Visit(const Expr& expr) {
    const ValueType type = TypeOf(expr);
    if (type != ValueType::kVector && type != ValueType::kMatrix) return false;
    if (expr.kind == Expr::Kind::kVectorSelector) {
      Add(expr.As<VectorSelector>());
      return true;
    }
    path_.push_back(&expr);
    bool has_selector = false;
    if (expr.kind == Expr::Kind::kMatrixSelector) {
      has_selector = Visit(*expr.As<MatrixSelector>().selector);
    } else if (expr.kind == Expr::Kind::kCall && expr.As<Call>().function->name == "info") {
      has_selector = Visit(*expr.As<Call>().arguments[0]);
      path_.pop_back();
      return has_selector;
    } else {
      for (const Expr* child : Children(expr)) has_selector = Visit(*child) || has_selector;
    }
    path_.pop_back();
    // A vector without selectors lives at the time of evaluation.
    if (!has_selector) reference_free_ = true;
    return has_selector;
  }

  bool found() const { return found_; }
  bool uniform() const { return found_ && uniform_ && !reference_free_; }
  const InfoReference& first() const { return first_; }

 private:
  void Add(const VectorSelector& selector) {
    InfoReference reference{.at_ms = {}, .offset_ns = selector.offset.nanos};
    if (selector.at != AtModifier::kNone) reference.at_ms = selector.at_ms;
    for (auto it = path_.rbegin(); it != path_.rend() && !reference.at_ms; ++it) {
      if ((*it)->kind != Expr::Kind::kSubquery) continue;
      const SubqueryExpr& subquery = (*it)->As<SubqueryExpr>();
      reference.offset_ns += subquery.offset.nanos;
      if (subquery.at != AtModifier::kNone) reference.at_ms = subquery.at_ms;
    }
    if (!found_) {
      first_ = reference;
      found_ = true;
    } else if (!Equal(first_, reference)) {
      uniform_ = false;
    }
  }

  static bool Equal(const InfoReference& a, const InfoReference& b) {
    if (a.at_ms.has_value() != b.at_ms.has_value()) return false;
    return a.at_ms.value_or(0) - ToMillis(a.offset_ns) ==
           b.at_ms.value_or(0) - ToMillis(b.offset_ns);
  }

  Path path_;
  InfoReference first_;
  bool found_ = false;
  bool uniform_ = true;
  bool reference_free_ = false;
};

}  // namespace

bool UniformInfoReference(const Expr& argument, InfoReference* reference) {
  InfoInspector inspector;
  inspector.Visit(argument);
  *reference = inspector.first();
  return inspector.uniform();
}

void CollectSelectors(const PlanRequest& request, Plan* plan) {
  Collector collector(request, plan);
  collector.Visit(*plan->root);
  plan->range = collector.range();
}

}  // namespace plan_internal

InfoReference InfoReferenceOf(const Expr& argument) {
  InfoReference reference;
  if (!plan_internal::UniformInfoReference(argument, &reference)) return {};
  return reference;
}

}  // namespace narthex::promql
