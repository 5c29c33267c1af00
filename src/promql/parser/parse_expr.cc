// Operands, calls, aggregations and binary operators.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "promql/parser/parser_internal.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

struct OperatorRow {
  TokenKind kind;
  BinaryOp op;
  int precedence;
};
constexpr int kPowPrecedence = 6;
// From the loosest to the tightest; 0 is no operator.
constexpr OperatorRow kOperators[] = {
    {TokenKind::kOr, BinaryOp::kOr, 1},
    {TokenKind::kAnd, BinaryOp::kAnd, 2},
    {TokenKind::kUnless, BinaryOp::kUnless, 2},
    {TokenKind::kEqualEqual, BinaryOp::kEql, 3},
    {TokenKind::kNotEqual, BinaryOp::kNeq, 3},
    {TokenKind::kLess, BinaryOp::kLss, 3},
    {TokenKind::kLessEqual, BinaryOp::kLte, 3},
    {TokenKind::kGreater, BinaryOp::kGtr, 3},
    {TokenKind::kGreaterEqual, BinaryOp::kGte, 3},
    {TokenKind::kTrimUpper, BinaryOp::kTrimUpper, 3},
    {TokenKind::kTrimLower, BinaryOp::kTrimLower, 3},
    {TokenKind::kAdd, BinaryOp::kAdd, 4},
    {TokenKind::kSub, BinaryOp::kSub, 4},
    {TokenKind::kMul, BinaryOp::kMul, 5},
    {TokenKind::kDiv, BinaryOp::kDiv, 5},
    {TokenKind::kMod, BinaryOp::kMod, 5},
    {TokenKind::kAtan2, BinaryOp::kAtan2, 5},
    {TokenKind::kPow, BinaryOp::kPow, kPowPrecedence},
};

const OperatorRow* FindOperator(TokenKind kind) {
  for (const OperatorRow& row : kOperators) {
    if (row.kind == kind) return &row;
  }
  return nullptr;
}

AggregateOp AggregateOpOf(TokenKind kind) {
  switch (kind) {
    case TokenKind::kAvg: return AggregateOp::kAvg;
    case TokenKind::kBottomk: return AggregateOp::kBottomk;
    case TokenKind::kCount: return AggregateOp::kCount;
    case TokenKind::kCountValues: return AggregateOp::kCountValues;
    case TokenKind::kGroup: return AggregateOp::kGroup;
    case TokenKind::kMax: return AggregateOp::kMax;
    case TokenKind::kMin: return AggregateOp::kMin;
    case TokenKind::kQuantile: return AggregateOp::kQuantile;
    case TokenKind::kStddev: return AggregateOp::kStddev;
    case TokenKind::kStdvar: return AggregateOp::kStdvar;
    case TokenKind::kTopk: return AggregateOp::kTopk;
    case TokenKind::kLimitk: return AggregateOp::kLimitk;
    case TokenKind::kLimitRatio: return AggregateOp::kLimitRatio;
    default: return AggregateOp::kSum;
  }
}

// What a call of an unknown function refers to until the error about it is returned.
constexpr std::string_view kUnknownFunctionName;
const FunctionSignature& UnknownFunction() {
  static const FunctionSignature* const kUnknown = new FunctionSignature{
      .name = kUnknownFunctionName, .arguments = {}, .returns = ValueType::kNone};
  return *kUnknown;
}

}  // namespace

ExprPtr Parser::ParseExpression(int precedence_min) {
  ExprPtr expr;
  if (EnterLevel()) expr = ParseOperand();
  if (expr != nullptr) expr = ParseOperators(std::move(expr), precedence_min);
  LeaveLevel();
  return expr;
}

// Modifiers bind to what stands before them, whatever operators wait further left.
ExprPtr Parser::ParseOperators(ExprPtr lhs, int precedence_min) {
  while (lhs != nullptr) {
    const TokenKind kind = Peek();
    switch (kind) {
      case TokenKind::kLeftBracket: lhs = ParseBrackets(std::move(lhs)); continue;
      case TokenKind::kOffset: lhs = ParseOffset(std::move(lhs)); continue;
      case TokenKind::kAt: lhs = ParseAt(std::move(lhs)); continue;
      case TokenKind::kAnchored:
        Take();
        SetAnchored(*lhs);
        continue;
      case TokenKind::kSmoothed:
        Take();
        SetSmoothed(*lhs);
        continue;
      default: break;
    }
    const OperatorRow* const row = FindOperator(kind);
    if (row == nullptr || row->precedence < precedence_min) return lhs;
    lhs = ParseBinary(std::move(lhs), row->precedence);
  }
  return nullptr;
}

ExprPtr Parser::ParseOperand() {
  for (;;) {
    const TokenKind kind = Peek();
    switch (kind) {
      case TokenKind::kNumber:
      case TokenKind::kDuration: return ParseNumberLiteral();
      case TokenKind::kString: return ParseStringLiteral();
      case TokenKind::kAdd:
      case TokenKind::kSub: return ParseUnary();
      case TokenKind::kLeftParen: return ParseParen();
      case TokenKind::kLeftBrace: return ParseSelector(std::nullopt);
      default: break;
    }
    if (CanNameMetric(kind)) return ParseWord();
    if (!Retry()) return nullptr;
  }
}

ExprPtr Parser::ParseNumberLiteral() {
  auto literal = std::make_unique<NumberLiteral>();
  literal->duration = Peek() == TokenKind::kDuration;
  literal->position = last_.range();
  literal->value = TakeNumber();
  return literal;
}

ExprPtr Parser::ParseStringLiteral() {
  const Token token = Take();
  auto literal = std::make_unique<StringLiteral>();
  literal->position = token.range();
  literal->value = Unquote(token.text);
  return literal;
}

// A sign binds like a multiplication: -1^2 is -(1^2), -a*b is (-a)*b.
ExprPtr Parser::ParseUnary() {
  const Token sign = Take();
  const bool minus = sign.kind == TokenKind::kSub;
  ExprPtr operand = ParseExpression(kPowPrecedence);
  if (operand == nullptr) return nullptr;
  if (operand->kind == Expr::Kind::kNumberLiteral) {
    NumberLiteral& literal = operand->As<NumberLiteral>();
    if (minus) literal.value = -literal.value;
    literal.position.start = sign.pos;
    return operand;
  }
  auto unary = std::make_unique<UnaryExpr>();
  unary->minus = minus;
  unary->position = {sign.pos, operand->position.end};
  unary->expr = std::move(operand);
  if (!CheckHeight(*unary)) return nullptr;
  return unary;
}

ExprPtr Parser::ParseParen() {
  const Token open = Take();
  ExprPtr inner = ParseExpression(0);
  while (inner != nullptr && Peek() != TokenKind::kRightParen) {
    if (!Retry()) return nullptr;
    inner = ParseOperators(std::move(inner), 0);
  }
  if (inner == nullptr) return nullptr;
  auto paren = std::make_unique<ParenExpr>();
  paren->position = {open.pos, Take().range().end};
  paren->expr = std::move(inner);
  if (!CheckHeight(*paren)) return nullptr;
  return paren;
}

// A word is a call or an aggregation when its arguments follow, otherwise a metric.
ExprPtr Parser::ParseWord() {
  const Token word = Take();
  const TokenKind after = Peek();
  if (IsAggregator(word.kind)) {
    const bool aggregation =
        after == TokenKind::kLeftParen || after == TokenKind::kBy || after == TokenKind::kWithout;
    return aggregation ? ParseAggregate(word) : ParseSelector(word);
  }
  switch (word.kind) {
    case TokenKind::kIdentifier:
    case TokenKind::kStart:
    case TokenKind::kEndWord:
    case TokenKind::kStep:
    case TokenKind::kRange:
    case TokenKind::kMaxOf:
    case TokenKind::kMinOf:
      if (after == TokenKind::kLeftParen) return ParseCall(word);
      break;
    default: break;
  }
  return ParseSelector(word);
}

// -------------------------------------------------------------------------------------------------
// Calls and aggregations
// -------------------------------------------------------------------------------------------------

ExprPtr Parser::ParseCall(const Token& name) {
  auto call = std::make_unique<Call>();
  if (!ParseCallBody(&call->arguments)) return nullptr;
  call->position = {name.pos, last_closing_};
  call->function = FindFunction(name.text);
  if (call->function == nullptr) {
    AddError(name.range(), "unknown function with name " + GoQuote(name.text));
    call->function = &UnknownFunction();
  } else if (call->function->experimental && !options_.experimental_functions) {
    AddError(name.range(), fmt::format("function {} is not enabled", GoQuote(name.text)));
  }
  if (!CheckHeight(*call)) return nullptr;
  return call;
}

bool Parser::ParseCallBody(std::vector<ExprPtr>* arguments) {
  Take();
  if (Peek() == TokenKind::kRightParen) {
    Take();
    return true;
  }
  ExprPtr argument = ParseExpression(0);
  if (argument == nullptr) return false;
  arguments->push_back(std::move(argument));
  for (;;) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kRightParen) {
      Take();
      return true;
    }
    if (kind != TokenKind::kComma) {
      if (!Retry()) return false;
      continue;
    }
    const Token comma = Take();
    if (!StartsExpression(Peek())) {
      AddError(comma.range(), "trailing commas not allowed in function call args");
      continue;
    }
    argument = ParseExpression(0);
    if (argument == nullptr) return false;
    arguments->push_back(std::move(argument));
  }
}

// An error anywhere in it ends here, however deep, unless something between knew better.
ExprPtr Parser::ParseAggregate(const Token& op) {
  auto aggregate = std::make_unique<AggregateExpr>();
  std::vector<ExprPtr> arguments;
  bool read_too_far = false;
  if (!ParseAggregateParts(aggregate.get(), &arguments, &read_too_far)) {
    if (aborted()) return nullptr;
    Unexpected("aggregation", "");
    aggregate = std::make_unique<AggregateExpr>();
    arguments.clear();
    read_too_far = false;
  }
  return MakeAggregate(op, std::move(aggregate), std::move(arguments), read_too_far);
}

bool Parser::ParseAggregateParts(AggregateExpr* modifier, std::vector<ExprPtr>* arguments,
                                 bool* read_too_far) {
  if (Peek() != TokenKind::kLeftParen) {
    if (!ParseAggregateModifier(modifier)) return false;
    while (Peek() != TokenKind::kLeftParen) {
      if (!Retry()) return false;
    }
    return ParseCallBody(arguments);
  }
  if (!ParseCallBody(arguments)) return false;
  const TokenKind kind = Peek();
  if (kind == TokenKind::kBy || kind == TokenKind::kWithout) {
    return ParseAggregateModifier(modifier);
  }
  *read_too_far = true;
  return true;
}

bool Parser::ParseAggregateModifier(AggregateExpr* modifier) {
  modifier->without = Take().kind == TokenKind::kWithout;
  return ParseGroupingLabels(&modifier->grouping);
}

ExprPtr Parser::MakeAggregate(const Token& op, std::unique_ptr<AggregateExpr> aggregate,
                              std::vector<ExprPtr> arguments, bool read_too_far) {
  aggregate->op = AggregateOpOf(op.kind);
  aggregate->unquoted_utf8_names = options_.unquoted_utf8_names;
  const size_t end =
      read_too_far ? lexer_.FindPreviousRightParen(last_closing_) : size_t{last_closing_};
  aggregate->position = {op.pos, static_cast<uint32_t>(end)};
  if (arguments.empty()) {
    AddError(aggregate->position, "no arguments for aggregate expression provided");
    return aggregate;
  }
  const bool parameter = TakesParameter(aggregate->op);
  const bool experimental =
      aggregate->op == AggregateOp::kLimitk || aggregate->op == AggregateOp::kLimitRatio;
  if (experimental && !options_.experimental_functions) {
    AddError(aggregate->position, fmt::format("{}() is experimental and must be enabled with "
                                              "--enable-feature=promql-experimental-functions",
                                              AggregateOpName(aggregate->op)));
    return aggregate;
  }
  const size_t wanted = parameter ? 2 : 1;
  if (arguments.size() != wanted) {
    AddError(aggregate->position,
             fmt::format("wrong number of arguments for aggregate expression provided, "
                         "expected {}, got {}",
                         wanted, arguments.size()));
    return aggregate;
  }
  if (parameter) aggregate->parameter = std::move(arguments.front());
  aggregate->expr = std::move(arguments.back());
  if (!CheckHeight(*aggregate)) return nullptr;
  return aggregate;
}

// -------------------------------------------------------------------------------------------------
// Binary operators
// -------------------------------------------------------------------------------------------------

ExprPtr Parser::ParseBinary(ExprPtr lhs, int precedence) {
  auto binary = std::make_unique<BinaryExpr>();
  const Token op = Take();
  binary->op = FindOperator(op.kind)->op;
  binary->op_position = op.range();
  binary->unquoted_utf8_names = options_.unquoted_utf8_names;
  if (!ParseBinaryModifiers(binary.get())) return nullptr;
  binary->rhs = ParseExpression(precedence == kPowPrecedence ? precedence : precedence + 1);
  if (binary->rhs == nullptr) return nullptr;
  binary->lhs = std::move(lhs);
  binary->position = {binary->lhs->position.start, binary->rhs->position.end};
  const bool fill = binary->matching->fill_left || binary->matching->fill_right;
  if (fill && !options_.binop_fill_modifiers) {
    AddError(binary->position, "binop fill modifiers are experimental and not enabled");
  }
  if (!CheckHeight(*binary)) return nullptr;
  return binary;
}

// [bool] [on|ignoring (…) [group_left|group_right [(…)]]] [fill(v) | fill_left(v) fill_right(v)]
bool Parser::ParseBinaryModifiers(BinaryExpr* binary) {
  VectorMatching& matching = binary->matching.emplace();
  if (Peek() == TokenKind::kBool) {
    Take();
    binary->return_bool = true;
  }
  if (const TokenKind kind = Peek(); kind == TokenKind::kOn || kind == TokenKind::kIgnoring) {
    Take();
    matching.on = kind == TokenKind::kOn;
    if (!ParseGroupingLabels(&matching.labels)) return false;
    if (!ParseGroupSide(&matching)) return false;
  }
  return ParseFill(&matching);
}

bool Parser::ParseGroupSide(VectorMatching* matching) {
  const TokenKind kind = Peek();
  if (kind != TokenKind::kGroupLeft && kind != TokenKind::kGroupRight) return true;
  Take();
  matching->card =
      kind == TokenKind::kGroupLeft ? MatchCardinality::kManyToOne : MatchCardinality::kOneToMany;
  // The labels may be left out where an operand or a fill follows; a parenthesis is always theirs.
  const TokenKind after = Peek();
  if (after != TokenKind::kLeftParen && StartsExpression(after)) return true;
  return ParseGroupingLabels(&matching->include);
}

bool Parser::ParseFill(VectorMatching* matching) {
  const TokenKind kind = Peek();
  double value = 0;
  switch (kind) {
    case TokenKind::kFill:
      Take();
      if (!ParseFillValue(&value)) return false;
      matching->fill_left = value;
      matching->fill_right = value;
      return true;
    case TokenKind::kFillLeft:
    case TokenKind::kFillRight: break;
    default: return true;
  }
  const bool left_first = kind == TokenKind::kFillLeft;
  Take();
  if (!ParseFillValue(&value)) return false;
  (left_first ? matching->fill_left : matching->fill_right) = value;
  if (Peek() != (left_first ? TokenKind::kFillRight : TokenKind::kFillLeft)) return true;
  Take();
  if (!ParseFillValue(&value)) return false;
  (left_first ? matching->fill_right : matching->fill_left) = value;
  return true;
}

bool Parser::ParseFillValue(double* value) {
  if (!Expect(TokenKind::kLeftParen)) return false;
  if (!ParseSignedNumber(value)) return false;
  return Expect(TokenKind::kRightParen);
}

}  // namespace narthex::promql
