#include "promql/engine/explain.h"

#include <algorithm>

#include "promql/engine/evaluator.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

// Longer texts of parts of a query are cut: a tree repeats them at each level.
constexpr size_t kExprBytesMax = 200;

std::string_view TypeTag(Expr::Kind kind) {
  switch (kind) {
    case Expr::Kind::kNumberLiteral: return "numberLiteral";
    case Expr::Kind::kStringLiteral: return "stringLiteral";
    case Expr::Kind::kVectorSelector: return "vectorSelector";
    case Expr::Kind::kMatrixSelector: return "matrixSelector";
    case Expr::Kind::kSubquery: return "subquery";
    case Expr::Kind::kCall: return "call";
    case Expr::Kind::kAggregate: return "aggregation";
    case Expr::Kind::kBinary: return "binaryExpr";
    case Expr::Kind::kUnary: return "unaryExpr";
    case Expr::Kind::kParen: return "parenExpr";
    case Expr::Kind::kStepInvariant: return "stepInvariant";
    case Expr::Kind::kDuration: break;
  }
  return "durationExpr";
}

std::string NameOf(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kCall: return std::string(expr.As<Call>().function->name);
    case Expr::Kind::kAggregate: return std::string(AggregateOpName(expr.As<AggregateExpr>().op));
    case Expr::Kind::kBinary: return std::string(BinaryOpName(expr.As<BinaryExpr>().op));
    case Expr::Kind::kUnary: return expr.As<UnaryExpr>().minus ? "-" : "+";
    case Expr::Kind::kVectorSelector: return expr.As<VectorSelector>().name;
    case Expr::Kind::kMatrixSelector: return expr.As<MatrixSelector>().selector->name;
    default: return {};
  }
}

bool Folds(const Expr& expr) {
  if (expr.kind != Expr::Kind::kAggregate) return false;
  const AggregateOp op = expr.As<AggregateExpr>().op;
  return !TakesParameter(op) || op == AggregateOp::kQuantile;
}

class Explainer {
 public:
  Explainer(const Plan& plan, std::string_view query,
            const std::function<int64_t(int64_t range_ms)>& default_step_ms,
            const QueryProfile* profile)
      : plan_(plan), query_(query), default_step_ms_(default_step_ms), profile_(profile) {}

  ExplainNode Node(const Expr& expr, const StepGrid& grid) const {
    ExplainNode node;
    node.type = TypeTag(expr.kind);
    node.name = NameOf(expr);
    node.position = expr.position;
    node.expr = TextOf(expr);
    node.grid = grid;
    node.folds = Folds(expr);
    if (const auto at = plan_.shared.find(&expr); at != plan_.shared.end()) {
      node.shared = at->second;
    }
    if (expr.kind == Expr::Kind::kVectorSelector) {
      node.select = SelectOf(expr.As<VectorSelector>(), 0);
    } else if (expr.kind == Expr::Kind::kMatrixSelector) {
      const MatrixSelector& matrix = expr.As<MatrixSelector>();
      node.select = SelectOf(*matrix.selector, matrix.range.nanos / kNanosPerMilli);
    }
    if (profile_ != nullptr) node.profile = ProfileOf(expr);
    if (expr.kind == Expr::Kind::kMatrixSelector) return node;  // One operator with its selector.

    StepGrid below = grid;
    if (expr.kind == Expr::Kind::kStepInvariant) {
      node.once = true;
      below = {grid.start_ms, grid.start_ms, grid.interval_ms};
    } else if (expr.kind == Expr::Kind::kSubquery && grid.steps() > 0) {
      below = SubqueryGrid(expr.As<SubqueryExpr>(), grid, default_step_ms_);
    }
    for (const Expr* child : Children(expr)) node.children.push_back(Node(*child, below));
    return node;
  }

 private:
  std::string TextOf(const Expr& expr) const {
    const size_t start = std::min(static_cast<size_t>(expr.position.start), query_.size());
    const size_t end = std::clamp(static_cast<size_t>(expr.position.end), start, query_.size());
    std::string_view text = query_.substr(start, end - start);
    if (text.size() <= kExprBytesMax) return std::string(text);
    text = text.substr(0, kExprBytesMax);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) {
      text.remove_suffix(1);
    }
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.remove_suffix(1);
    return std::string(text) + "…";
  }

  std::optional<ExplainSelect> SelectOf(const VectorSelector& selector, int64_t range_ms) const {
    const auto hints = plan_.hints.find(&selector);
    if (hints == plan_.hints.end()) return {};  // Inside info(): not read as a selector.
    ExplainSelect select;
    select.range = {hints->second.start_ms, hints->second.end_ms};
    select.range_ms = range_ms;
    select.offset_ms = selector.offset.nanos / kNanosPerMilli;
    if (selector.at != AtModifier::kNone) select.at_ms = selector.at_ms;
    select.function = hints->second.function;
    select.grouping = hints->second.grouping;
    select.grouping_by = hints->second.grouping_by;
    select.histogram_stats = hints->second.histogram_stats;
    return select;
  }

  std::optional<OperatorProfile> ProfileOf(const Expr& expr) const {
    const OperatorProfile* found = profile_->Find(expr);
    std::optional<OperatorProfile> profile;
    if (found != nullptr) profile = *found;
    if (expr.kind != Expr::Kind::kMatrixSelector) return profile;
    // The series are counted where they are selected.
    const OperatorProfile* selected = profile_->Find(*expr.As<MatrixSelector>().selector);
    if (selected == nullptr) return profile;
    if (!profile.has_value()) profile.emplace();
    profile->series_selected = selected->series_selected;
    return profile;
  }

  const Plan& plan_;
  const std::string_view query_;
  const std::function<int64_t(int64_t range_ms)>& default_step_ms_;
  const QueryProfile* profile_;
};

}  // namespace

ExplainNode ExplainPlan(const Plan& plan, std::string_view query, const StepGrid& grid,
                        const std::function<int64_t(int64_t range_ms)>& default_subquery_step_ms,
                        const QueryProfile* profile) {
  return Explainer(plan, query, default_subquery_step_ms, profile).Node(*plan.root, grid);
}

}  // namespace narthex::promql
