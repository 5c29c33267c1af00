// The tree as JSON, for /api/v1/parse_query (parity/api.md section 3). Keys ascend.
#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "promql/parser/parser.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

void AppendExpr(const Expr& expr, std::string* out);

void AppendText(std::string_view text, std::string* out) {
  AppendJsonString(text, JsonEscape::kGo, out);
}

void AppendTexts(const std::vector<std::string>& texts, std::string* out) {
  out->push_back('[');
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out->push_back(',');
    AppendText(texts[i], out);
  }
  out->push_back(']');
}

// Writes {"key":value,…}; the caller names the keys in ascending order.
class JsonObject {
 public:
  explicit JsonObject(std::string* out) : out_(out) { out_->push_back('{'); }
  ~JsonObject() { out_->push_back('}'); }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  // The value follows by the caller's hand.
  std::string* Key(std::string_view key) {
    if (!first_) out_->push_back(',');
    first_ = false;
    AppendText(key, out_);
    out_->push_back(':');
    return out_;
  }
  void Text(std::string_view key, std::string_view value) { AppendText(value, Key(key)); }
  void Raw(std::string_view key, std::string_view json) { Key(key)->append(json); }
  void Bool(std::string_view key, bool value) { Raw(key, value ? "true" : "false"); }
  void Int(std::string_view key, int64_t value) { Raw(key, fmt::format("{}", value)); }
  void Node(std::string_view key, const Expr* expr) {
    if (expr == nullptr) return Raw(key, "null");
    AppendExpr(*expr, Key(key));
  }

 private:
  std::string* out_;
  bool first_ = true;
};

// As encoding/json writes floats; it knows no infinities.
std::string JsonNumber(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return "null";
  const double magnitude = std::fabs(*value);
  if (magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21)) return FormatFloatF(*value);
  std::string text = FormatFloatE(*value);
  const size_t size = text.size();
  if (size >= 4 && text[size - 4] == 'e' && text[size - 2] == '0') text.erase(size - 2, 1);
  return text;
}

void AppendMatchers(const std::vector<Matcher>& matchers, std::string* out) {
  out->push_back('[');
  for (size_t i = 0; i < matchers.size(); ++i) {
    if (i > 0) out->push_back(',');
    JsonObject object(out);
    object.Text("name", matchers[i].name());
    object.Text("type", MatchTypeName(matchers[i].type()));
    object.Text("value", matchers[i].value());
  }
  out->push_back(']');
}

void AppendStartOrEnd(AtModifier at, JsonObject* object) {
  if (at == AtModifier::kStart || at == AtModifier::kEnd) {
    object->Text("startOrEnd", at == AtModifier::kStart ? "start" : "end");
  } else {
    object->Raw("startOrEnd", "null");
  }
}

void AppendTimestamp(AtModifier at, int64_t at_ms, JsonObject* object) {
  if (at == AtModifier::kTimestamp) {
    object->Int("timestamp", at_ms);
  } else {
    object->Raw("timestamp", "null");
  }
}

void AppendSelector(const VectorSelector& selector, const DurationValue* range, std::string* out) {
  JsonObject object(out);
  object.Bool("anchored", selector.anchored);
  AppendMatchers(selector.matchers, object.Key("matchers"));
  object.Text("name", selector.name);
  object.Int("offset", selector.offset.nanos / kNanosPerMilli);
  object.Node("offsetExpr", selector.offset.expr.get());
  if (range != nullptr) {
    object.Int("range", range->nanos / kNanosPerMilli);
    object.Node("rangeExpr", range->expr.get());
  }
  object.Bool("smoothed", selector.smoothed);
  AppendStartOrEnd(selector.at, &object);
  AppendTimestamp(selector.at, selector.at_ms, &object);
  object.Text("type", range != nullptr ? "matrixSelector" : "vectorSelector");
}

void AppendSubquery(const SubqueryExpr& subquery, std::string* out) {
  JsonObject object(out);
  object.Node("expr", subquery.expr.get());
  object.Int("offset", subquery.offset.nanos / kNanosPerMilli);
  object.Node("offsetExpr", subquery.offset.expr.get());
  object.Int("range", subquery.range.nanos / kNanosPerMilli);
  object.Node("rangeExpr", subquery.range.expr.get());
  AppendStartOrEnd(subquery.at, &object);
  object.Int("step", subquery.step.nanos / kNanosPerMilli);
  object.Node("stepExpr", subquery.step.expr.get());
  AppendTimestamp(subquery.at, subquery.at_ms, &object);
  object.Text("type", "subquery");
}

void AppendCall(const Call& call, std::string* out) {
  JsonObject object(out);
  object.Key("args")->push_back('[');
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i > 0) out->push_back(',');
    AppendExpr(*call.arguments[i], out);
  }
  out->push_back(']');
  {
    std::vector<std::string> types;
    for (const ValueType type : call.function->arguments) types.emplace_back(ValueTypeTag(type));
    JsonObject function(object.Key("func"));
    AppendTexts(types, function.Key("argTypes"));
    function.Text("name", call.function->name);
    function.Text("returnType", ValueTypeTag(call.function->returns));
    function.Int("variadic", call.function->variadic);
  }
  object.Text("type", "call");
}

void AppendMatching(const VectorMatching& matching, std::string* out) {
  JsonObject object(out);
  object.Text("card", MatchCardinalityName(matching.card));
  {
    JsonObject fill(object.Key("fillValues"));
    fill.Raw("lhs", JsonNumber(matching.fill_left));
    fill.Raw("rhs", JsonNumber(matching.fill_right));
  }
  AppendTexts(matching.include, object.Key("include"));
  AppendTexts(matching.labels, object.Key("labels"));
  object.Bool("on", matching.on);
}

void AppendBinary(const BinaryExpr& binary, std::string* out) {
  JsonObject object(out);
  object.Bool("bool", binary.return_bool);
  object.Node("lhs", binary.lhs.get());
  if (binary.matching) {
    AppendMatching(*binary.matching, object.Key("matching"));
  } else {
    object.Raw("matching", "null");
  }
  object.Text("op", BinaryOpName(binary.op));
  object.Node("rhs", binary.rhs.get());
  object.Text("type", "binaryExpr");
}

void AppendAggregate(const AggregateExpr& aggregate, std::string* out) {
  JsonObject object(out);
  object.Node("expr", aggregate.expr.get());
  AppendTexts(aggregate.grouping, object.Key("grouping"));
  object.Text("op", AggregateOpName(aggregate.op));
  object.Node("param", aggregate.parameter.get());
  object.Text("type", "aggregation");
  object.Bool("without", aggregate.without);
}

// Inside durations a literal says whether it was written as one.
void AppendDurationOperand(const Expr* expr, std::string_view key, JsonObject* object) {
  if (expr == nullptr || expr->kind != Expr::Kind::kNumberLiteral) return object->Node(key, expr);
  const NumberLiteral& literal = expr->As<NumberLiteral>();
  JsonObject number(object->Key(key));
  number.Bool("duration", literal.duration);
  number.Text("type", "numberLiteral");
  number.Text("val", FormatFloatF(literal.value));
}

void AppendDuration(const DurationExpr& duration, std::string* out) {
  JsonObject object(out);
  AppendDurationOperand(duration.lhs.get(), "lhs", &object);
  object.Text("op", DurationOpName(duration.op));
  AppendDurationOperand(duration.rhs.get(), "rhs", &object);
  object.Text("type", "durationExpr");
  object.Bool("wrapped", duration.wrapped);
}

void AppendLeaf(std::string_view type, std::string_view value, std::string* out) {
  JsonObject object(out);
  object.Text("type", type);
  object.Text("val", value);
}

void AppendExpr(const Expr& expr, std::string* out) {
  switch (expr.kind) {
    case Expr::Kind::kNumberLiteral:
      return AppendLeaf("numberLiteral", FormatFloatF(expr.As<NumberLiteral>().value), out);
    case Expr::Kind::kStringLiteral:
      return AppendLeaf("stringLiteral", expr.As<StringLiteral>().value, out);
    case Expr::Kind::kVectorSelector:
      return AppendSelector(expr.As<VectorSelector>(), nullptr, out);
    case Expr::Kind::kMatrixSelector: {
      const MatrixSelector& matrix = expr.As<MatrixSelector>();
      return AppendSelector(*matrix.selector, &matrix.range, out);
    }
    case Expr::Kind::kSubquery: return AppendSubquery(expr.As<SubqueryExpr>(), out);
    case Expr::Kind::kCall: return AppendCall(expr.As<Call>(), out);
    case Expr::Kind::kAggregate: return AppendAggregate(expr.As<AggregateExpr>(), out);
    case Expr::Kind::kBinary: return AppendBinary(expr.As<BinaryExpr>(), out);
    case Expr::Kind::kUnary: {
      JsonObject object(out);
      object.Node("expr", expr.As<UnaryExpr>().expr.get());
      object.Text("op", expr.As<UnaryExpr>().minus ? "-" : "+");
      object.Text("type", "unaryExpr");
      return;
    }
    case Expr::Kind::kParen: {
      JsonObject object(out);
      object.Node("expr", expr.As<ParenExpr>().expr.get());
      object.Text("type", "parenExpr");
      return;
    }
    case Expr::Kind::kDuration: return AppendDuration(expr.As<DurationExpr>(), out);
    case Expr::Kind::kStepInvariant: return AppendExpr(*expr.As<StepInvariantExpr>().expr, out);
  }
}

}  // namespace

std::string AstJson(const Expr& expr) {
  std::string out;
  AppendExpr(expr, &out);
  return out;
}

}  // namespace narthex::promql
