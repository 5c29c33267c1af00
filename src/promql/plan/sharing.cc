// Parts of a query that stand in it more than once: each is to be evaluated once.
//
// Two parts are the same when they print the same, lie under the same subqueries and step-invariant
// parts (so that they are evaluated at the same steps), and their selectors ask the store for the
// same. Only the highest of what is repeated is numbered: what lies below a second occurrence is
// not evaluated at all.
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "promql/parser/parser.h"
#include "promql/plan/plan.h"

namespace narthex::promql::plan_internal {
namespace {

// Longer queries are not searched: printing every part of a deep tree takes quadratic time.
constexpr size_t kQueryBytesMax = 16 * 1024;

class SharingFinder {
 public:
  explicit SharingFinder(Plan* plan) : plan_(plan) {}

  void Visit(const Expr& expr, const std::string& context) {
    if (expr.kind == Expr::Kind::kMatrixSelector) {
      AddSelector(*expr.As<MatrixSelector>().selector);
      return;
    }
    if (IsCandidate(expr)) {
      const std::string key = context + Print(expr) + "\n" + Details(expr);
      const auto [first, inserted] = seen_.try_emplace(key, &expr);
      if (!inserted) {
        Share(*first->second, expr);
        // Its selectors may be read all the same, where the first result is not kept.
        AddSelectors(expr);
        return;
      }
    }
    if (expr.kind == Expr::Kind::kVectorSelector) {
      AddSelector(expr.As<VectorSelector>());
      return;
    }
    if (expr.kind == Expr::Kind::kCall && expr.As<Call>().function->name == "info") {
      Visit(*expr.As<Call>().arguments[0], context);
      return;
    }
    const std::string below = context + ContextOf(expr);
    for (const Expr* child : Children(expr)) Visit(*child, below);
  }

 private:
  static bool IsCandidate(const Expr& expr) {
    if (expr.kind == Expr::Kind::kParen) return false;
    const ValueType type = TypeOf(expr);
    if (type != ValueType::kVector && type != ValueType::kScalar) return false;
    return HasSelector(expr);
  }
  static bool HasSelector(const Expr& expr) {
    if (expr.kind == Expr::Kind::kVectorSelector || expr.kind == Expr::Kind::kMatrixSelector) {
      return true;
    }
    for (const Expr* child : Children(expr)) {
      if (HasSelector(*child)) return true;
    }
    return false;
  }

  // What changes the steps below.
  static std::string ContextOf(const Expr& expr) {
    if (expr.kind == Expr::Kind::kStepInvariant) return "!";
    if (expr.kind != Expr::Kind::kSubquery) return {};
    const SubqueryExpr& subquery = expr.As<SubqueryExpr>();
    return fmt::format("[{}:{} {} {} {}]", subquery.range.nanos, subquery.step.nanos,
                       subquery.offset.nanos, static_cast<int>(subquery.at), subquery.at_ms);
  }

  // What the selectors of a part ask for and how they look at it.
  std::string Details(const Expr& expr) const {
    std::string details;
    AppendDetails(expr, &details);
    return details;
  }
  void AppendDetails(const Expr& expr, std::string* details) const {
    if (expr.kind == Expr::Kind::kVectorSelector) {
      const auto hints = plan_->hints.find(&expr);
      if (hints == plan_->hints.end()) return;
      *details += fmt::format("{},{},{};", hints->second.start_ms, hints->second.end_ms,
                              hints->second.histogram_stats);
      return;
    }
    if (expr.kind == Expr::Kind::kMatrixSelector) {
      AppendDetails(*expr.As<MatrixSelector>().selector, details);
      return;
    }
    for (const Expr* child : Children(expr)) AppendDetails(*child, details);
  }

  void Share(const Expr& first, const Expr& second) {
    const auto [number, inserted] =
        plan_->shared.try_emplace(&first, static_cast<uint32_t>(plan_->shared_uses.size()));
    if (inserted) plan_->shared_uses.push_back(1);
    plan_->shared.emplace(&second, number->second);
    ++plan_->shared_uses[number->second];
  }

  void AddSelectors(const Expr& expr) {
    if (expr.kind == Expr::Kind::kVectorSelector) {
      AddSelector(expr.As<VectorSelector>());
    } else if (expr.kind == Expr::Kind::kMatrixSelector) {
      AddSelector(*expr.As<MatrixSelector>().selector);
    } else {
      for (const Expr* child : Children(expr)) AddSelectors(*child);
    }
  }
  void AddSelector(const VectorSelector& selector) {
    const auto hints = plan_->hints.find(&selector);
    if (hints == plan_->hints.end()) return;
    std::string key =
        fmt::format("{},{},{},{},{}", hints->second.start_ms, hints->second.end_ms,
                    hints->second.step_ms, hints->second.range_ms, hints->second.histogram_stats);
    for (const Matcher& matcher : selector.matchers) key += "\n" + matcher.ToString();
    const auto [first, inserted] = selectors_.try_emplace(std::move(key), &selector);
    if (inserted) return;
    const auto [number, is_new] =
        plan_->selections.try_emplace(first->second, plan_->selection_count);
    if (is_new) ++plan_->selection_count;
    plan_->selections.emplace(&selector, number->second);
  }

  Plan* plan_;
  std::unordered_map<std::string, const Expr*> seen_;
  std::unordered_map<std::string, const Expr*> selectors_;
};

}  // namespace

void FindShared(Plan* plan) {
  if (plan->hints.size() < 2 || Print(*plan->root).size() > kQueryBytesMax) return;
  SharingFinder(plan).Visit(*plan->root, {});
}

}  // namespace narthex::promql::plan_internal
