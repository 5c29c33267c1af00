// The PromQL syntax tree.
//
// Nodes are plain structs that own their children; Kind tells the type, As<T>() casts. The parser
// checks types, so a tree that left ParseExpr is well typed. Positions are byte offsets into the
// query, end exclusive, as upstream reports them.
// Specification: parity/promql.md sections 1, 2 and 13; printing and AST JSON in api.md section 3.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "model/matcher.h"

namespace narthex::promql {

enum class ValueType : uint8_t { kNone, kScalar, kString, kVector, kMatrix };
// As users read it in errors: "instant vector", "range vector", "scalar", "string", "none".
std::string_view ValueTypeName(ValueType type);
// As the API prints it: "vector", "matrix", "scalar", "string", "none".
std::string_view ValueTypeTag(ValueType type);

struct PositionRange {
  uint32_t start = 0;
  uint32_t end = 0;
  friend bool operator==(const PositionRange&, const PositionRange&) = default;
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kEql,
  kNeq,
  kLss,
  kLte,
  kGtr,
  kGte,
  kAnd,
  kOr,
  kUnless,
  kTrimUpper,  // </ : keep what lies below the float.
  kTrimLower,  // >/ : keep what lies above the float.
};
std::string_view BinaryOpName(BinaryOp op);
constexpr bool IsComparison(BinaryOp op) {
  return op >= BinaryOp::kEql && op <= BinaryOp::kGte;
}
constexpr bool IsSetOperator(BinaryOp op) {
  return op >= BinaryOp::kAnd && op <= BinaryOp::kUnless;
}

enum class AggregateOp : uint8_t {
  kSum,
  kAvg,
  kCount,
  kMin,
  kMax,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kCountValues,
  kQuantile,
  kLimitk,
  kLimitRatio,
};
std::string_view AggregateOpName(AggregateOp op);
constexpr bool TakesParameter(AggregateOp op) {
  return op >= AggregateOp::kTopk;
}

// Where a fixed evaluation time (@) comes from.
enum class AtModifier : uint8_t { kNone, kTimestamp, kStart, kEnd };

struct Expr {
  enum class Kind : uint8_t {
    kNumberLiteral,
    kStringLiteral,
    kVectorSelector,
    kMatrixSelector,
    kSubquery,
    kCall,
    kAggregate,
    kBinary,
    kUnary,
    kParen,
    kDuration,
    kStepInvariant,
  };

  explicit Expr(Kind k) : kind(k) {}
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  template <typename T>
  T& As() {
    return static_cast<T&>(*this);
  }
  template <typename T>
  const T& As() const {
    return static_cast<const T&>(*this);
  }

  const Kind kind;
  uint32_t height = 1;  // Levels of the tree from here down; the parser bounds it.
  PositionRange position;
};
using ExprPtr = std::unique_ptr<Expr>;

// The type of value that the expression evaluates to.
ValueType TypeOf(const Expr& expr);
// A deep copy.
ExprPtr Clone(const Expr& expr);
// The operands in evaluation order, as upstream walks them: an aggregation's expression before its
// parameter, a range selector's selector, a call's arguments. Duration expressions are not
// operands.
std::vector<Expr*> Children(Expr& expr);
std::vector<const Expr*> Children(const Expr& expr);
// Calls visit(node) for the expression and all below it, parents first. A visitor that returns a
// bool stops the descent below a node by returning false.
template <typename Node, typename Visit>
void WalkExpr(Node& expr, Visit&& visit);

struct NumberLiteral : Expr {
  NumberLiteral() : Expr(Kind::kNumberLiteral) {}
  double value = 0;
  bool duration = false;  // Written as a duration ("5m"); printed as one again.
};

struct StringLiteral : Expr {
  StringLiteral() : Expr(Kind::kStringLiteral) {}
  std::string value;
};

// Arithmetic on durations: inside [ ], after offset.
struct DurationExpr : Expr {
  DurationExpr() : Expr(Kind::kDuration) {}
  enum class Op : uint8_t { kAdd, kSub, kMul, kDiv, kMod, kPow, kStep, kRange, kMin, kMax };
  Op op = Op::kAdd;
  ExprPtr lhs;           // Null for unary + and -, step() and range().
  ExprPtr rhs;           // Null for step() and range().
  bool wrapped = false;  // In parentheses.
};
// "+", "step", "max_of"; as upstream prints them.
std::string_view DurationOpName(DurationExpr::Op op);

// Nanoseconds, and the expression that gives them where it is not a literal (then evaluated by the
// engine with the query's step and range, and `nanos` is 0 until then).
struct DurationValue {
  int64_t nanos = 0;
  ExprPtr expr;  // A DurationExpr or null.
};

struct VectorSelector : Expr {
  VectorSelector() : Expr(Kind::kVectorSelector) {}
  std::string name;  // Metric name written before or instead of the braces; may be empty.
  std::vector<Matcher> matchers;  // In source order, with the __name__ matcher of `name`.
  DurationValue offset;
  AtModifier at = AtModifier::kNone;
  int64_t at_ms = 0;  // Of kTimestamp; the engine fills it for kStart and kEnd.
  bool anchored = false;
  bool smoothed = false;
  bool bypass_empty_matcher_check = false;  // Selectors inside info().
  bool unquoted_utf8_names = false;         // Parsed with that option; printed in its spelling.
};

struct MatrixSelector : Expr {
  MatrixSelector() : Expr(Kind::kMatrixSelector) {}
  std::unique_ptr<VectorSelector> selector;
  DurationValue range;
};

struct SubqueryExpr : Expr {
  SubqueryExpr() : Expr(Kind::kSubquery) {}
  ExprPtr expr;
  DurationValue range;
  DurationValue step;  // 0 without an expression: the default resolution.
  DurationValue offset;
  AtModifier at = AtModifier::kNone;
  int64_t at_ms = 0;
};

// One row of the function table (parity/promql.md section 14).
struct FunctionSignature {
  std::string_view name;
  std::vector<ValueType> arguments;
  // 0: exactly the arguments; n > 0: the last argument may be left out or repeated, n more at most;
  // -1: any number more (as upstream's Variadic).
  int variadic = 0;
  ValueType returns = ValueType::kVector;
  bool experimental = false;
};
// Null when there is no such function. Lives for ever.
const FunctionSignature* FindFunction(std::string_view name);
// All of them, sorted by name.
const std::vector<FunctionSignature>& AllFunctions();

struct Call : Expr {
  Call() : Expr(Kind::kCall) {}
  const FunctionSignature* function = nullptr;
  std::vector<ExprPtr> arguments;
};

struct AggregateExpr : Expr {
  AggregateExpr() : Expr(Kind::kAggregate) {}
  AggregateOp op = AggregateOp::kSum;
  ExprPtr expr;
  ExprPtr parameter;                  // Null when the operator takes none.
  std::vector<std::string> grouping;  // In source order.
  bool without = false;
  bool unquoted_utf8_names = false;  // As in VectorSelector.
};

enum class MatchCardinality : uint8_t { kOneToOne, kManyToOne, kOneToMany, kManyToMany };
std::string_view MatchCardinalityName(MatchCardinality card);  // "one-to-one" …

struct VectorMatching {
  MatchCardinality card = MatchCardinality::kOneToOne;
  bool on = false;  // The labels match; otherwise they are ignored.
  std::vector<std::string> labels;
  std::vector<std::string> include;  // group_left / group_right labels.
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

struct BinaryExpr : Expr {
  BinaryExpr() : Expr(Kind::kBinary) {}
  BinaryOp op = BinaryOp::kAdd;
  ExprPtr lhs;
  ExprPtr rhs;
  std::optional<VectorMatching> matching;  // Set when both sides are vectors.
  bool return_bool = false;
  bool unquoted_utf8_names = false;  // As in VectorSelector.
  PositionRange op_position;         // Of the operator alone.
};

struct UnaryExpr : Expr {
  UnaryExpr() : Expr(Kind::kUnary) {}
  bool minus = false;
  ExprPtr expr;
};

struct ParenExpr : Expr {
  ParenExpr() : Expr(Kind::kParen) {}
  ExprPtr expr;
};

// Made by the planner, never by the parser: evaluated once, the result serves every step.
struct StepInvariantExpr : Expr {
  StepInvariantExpr() : Expr(Kind::kStepInvariant) {}
  ExprPtr expr;
};

template <typename Node, typename Visit>
void WalkExpr(Node& expr, Visit&& visit) {
  if constexpr (std::is_same_v<decltype(visit(expr)), bool>) {
    if (!visit(expr)) return;
  } else {
    visit(expr);
  }
  for (Node* child : Children(expr)) WalkExpr(*child, visit);
}

}  // namespace narthex::promql
