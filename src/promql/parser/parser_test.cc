#include "promql/parser/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "model/float_histogram_ops.h"
#include "promql/parser/lexer.h"
#include "promql/parser/series_description.h"
#include "testing/conformance.h"
#include "util/numbers.h"

namespace narthex::promql {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ParserOptions kExperimental{.experimental_functions = true, .binop_fill_modifiers = true};

// "start..end message", one string an error.
std::vector<std::string> ErrorsOf(std::string_view query, const ParserOptions& options = {}) {
  std::vector<ParseError> errors;
  const Result<ExprPtr> expr = ParseExpr(query, options, &errors);
  EXPECT_EQ(expr.ok(), errors.empty());
  std::vector<std::string> texts;
  for (const ParseError& error : errors) {
    texts.push_back(
        fmt::format("{}..{} {}", error.position.start, error.position.end, error.message));
  }
  return texts;
}

ExprPtr MustParse(std::string_view query, const ParserOptions& options = kExperimental) {
  Result<ExprPtr> expr = ParseExpr(query, options);
  EXPECT_TRUE(expr.ok()) << query << ": " << expr.status().message();
  return expr.ok() ? *std::move(expr) : nullptr;
}

// -------------------------------------------------------------------------------------------------
// Conformance
// -------------------------------------------------------------------------------------------------

void CheckParse(const std::string& input, const boost::json::value& want,
                const ParserOptions& options) {
  std::vector<ParseError> errors;
  const Result<ExprPtr> expr = ParseExpr(input, options, &errors);
  ASSERT_EQ(expr.ok(), testing::BoolOf(want, "ok")) << expr.status().message();
  if (expr.ok()) {
    EXPECT_EQ(Print(**expr), testing::TextOf(want, "string"));
    EXPECT_EQ(PrettyPrint(**expr), testing::TextOf(want, "pretty"));
    EXPECT_EQ(ValueTypeTag(TypeOf(**expr)), testing::TextOf(want, "type"));
    EXPECT_EQ(AstJson(*Clone(**expr)), AstJson(**expr));
    return;
  }
  EXPECT_EQ(expr.status().message(), testing::TextOf(want, "error"));
  const boost::json::array& wanted = want.at("errors").as_array();
  ASSERT_EQ(errors.size(), wanted.size());
  for (size_t i = 0; i < errors.size(); ++i) {
    EXPECT_EQ(errors[i].message, testing::TextOf(wanted[i], "msg"));
    EXPECT_EQ(errors[i].position.start, testing::IntOf(wanted[i], "start"));
    EXPECT_EQ(errors[i].position.end, testing::IntOf(wanted[i], "end"));
  }
}

void CheckParseSet(std::string_view file) {
  const auto cases = testing::LoadCases(file);
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const boost::json::value& c : *cases) {
    std::string input = testing::TextOf(c, "input");
    SCOPED_TRACE(input);
    // Bytes that are not UTF-8 were recorded as the replacement character; positions tell.
    constexpr std::string_view kReplacement = "\xef\xbf\xbd";
    if (const size_t at = input.find(kReplacement); at != std::string::npos) {
      input.replace(at, kReplacement.size(), "\xff");
    }
    const boost::json::value& stable = c.at("stable");
    CheckParse(input, stable, {});
    const boost::json::value* const experimental = testing::Find(c, "experimental");
    CheckParse(input, experimental != nullptr ? *experimental : stable, kExperimental);
  }
}

TEST(ParserConformance, Cases) {
  CheckParseSet("promql-parse/cases.jsonl");
}
TEST(ParserConformance, RealWorldRules) {
  CheckParseSet("corpus/expressions.jsonl");
}
TEST(ParserConformance, Mixins) {
  CheckParseSet("corpus/mixin-expressions.jsonl");
}

TEST(ParserConformance, Lexer) {
  const auto cases = testing::LoadCases("promql-parse/lexer.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const boost::json::value& c : *cases) {
    const std::string input = testing::TextOf(c, "input");
    SCOPED_TRACE(input);
    const LexerMode mode = testing::BoolOf(c, "series_description") ? LexerMode::kSeriesDescription
                                                                    : LexerMode::kExpression;
    Lexer lexer(input, mode, /*unquoted_utf8_names=*/false);
    std::vector<std::pair<int64_t, std::string>> got;
    bool ok = true;
    for (Token token = lexer.Next(); token.kind != TokenKind::kEof; token = lexer.Next()) {
      ok = token.kind != TokenKind::kError;
      got.emplace_back(token.pos, ok ? token.text : lexer.error());
    }
    EXPECT_EQ(ok, testing::BoolOf(c, "ok")) << lexer.error();
    const boost::json::value* const tokens = testing::Find(c, "tokens");
    if (tokens == nullptr) continue;
    std::vector<std::pair<int64_t, std::string>> want;
    for (const boost::json::value& pair : tokens->as_array()) {
      want.emplace_back(pair.at(0).to_number<int64_t>(), testing::AsText(pair.at(1)));
    }
    EXPECT_EQ(got, want);
  }
}

FloatHistogram HistogramOf(const boost::json::value& json) {
  FloatHistogram histogram;
  const std::string hint = testing::TextOf(json, "hint");
  histogram.counter_reset_hint = hint == "counter_reset"       ? CounterResetHint::kReset
                                 : hint == "not_counter_reset" ? CounterResetHint::kNotReset
                                 : hint == "gauge"             ? CounterResetHint::kGauge
                                                               : CounterResetHint::kUnknown;
  histogram.schema = static_cast<int32_t>(testing::IntOf(json, "schema"));
  histogram.count = testing::DoubleOf(json, "count");
  histogram.sum = testing::DoubleOf(json, "sum");
  histogram.zero_threshold = testing::DoubleOf(json, "zero_threshold");
  histogram.zero_count = testing::DoubleOf(json, "zero_count");
  const auto numbers = [&](std::string_view key) {
    std::vector<double> values;
    const boost::json::value* const list = testing::Find(json, key);
    if (list == nullptr) return values;
    for (const boost::json::value& value : list->as_array()) {
      values.push_back(testing::AsDouble(value));
    }
    return values;
  };
  const auto spans = [&](std::string_view key) {
    std::vector<Span> values;
    const boost::json::value* const list = testing::Find(json, key);
    if (list == nullptr) return values;
    for (const boost::json::value& value : list->as_array()) {
      values.push_back({value.at(0).to_number<int32_t>(), value.at(1).to_number<uint32_t>()});
    }
    return values;
  };
  histogram.positive_buckets = numbers("positive_counts");
  histogram.negative_buckets = numbers("negative_counts");
  histogram.positive_spans = spans("positive_spans");
  histogram.negative_spans = spans("negative_spans");
  histogram.custom_values = numbers("custom_values");
  return histogram;
}

void CheckSeries(const boost::json::value& c) {
  const Result<SeriesDescription> series =
      ParseSeriesDescription(testing::TextOf(c, "input"), kExperimental);
  ASSERT_EQ(series.ok(), testing::BoolOf(c, "ok")) << series.status().message();
  if (!series.ok()) {
    // Some of the texts were recorded without their position.
    const std::string error = testing::TextOf(c, "error");
    const std::string& message = series.status().message();
    EXPECT_EQ(error.starts_with("parse error") ? message.substr(message.find(' ') + 1) : message,
              error.empty() ? message : error);
    return;
  }
  if (testing::Find(c, "labels") != nullptr) {
    EXPECT_EQ(series->labels.ToString(), testing::TextOf(c, "labels"));
  }
  const boost::json::array& want = c.at("values").as_array();
  ASSERT_EQ(series->values.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    SCOPED_TRACE(i);
    const SequenceValue& value = series->values[i];
    if (want[i].is_object()) {
      ASSERT_NE(value.histogram, nullptr);
      const FloatHistogram histogram = HistogramOf(want[i].at("h"));
      EXPECT_TRUE(HistogramsEqual(*value.histogram, histogram)) << value.histogram->ToString();
      EXPECT_EQ(value.histogram->counter_reset_hint, histogram.counter_reset_hint);
    } else if (want[i] == "_") {
      EXPECT_TRUE(value.omitted);
    } else if (want[i] == "stale") {
      EXPECT_TRUE(IsStaleNan(value.value));
    } else {
      EXPECT_EQ(FormatFloatG(value.value), FormatFloatG(testing::AsDouble(want[i])));
    }
  }
}

void CheckSelectors(const boost::json::value& c) {
  std::vector<std::string> got;
  const ExprPtr expr = MustParse(testing::TextOf(c, "input"));
  WalkExpr(*expr, [&](const Expr& node) {
    if (node.kind != Expr::Kind::kVectorSelector) return;
    std::string text;
    for (const Matcher& matcher : node.As<VectorSelector>().matchers) {
      text += (text.empty() ? "" : ", ") + matcher.ToString();
    }
    got.push_back("{" + text + "}");
  });
  std::vector<std::string> want;
  for (const boost::json::value& text : c.at("selectors").as_array()) {
    want.push_back(testing::AsText(text));
  }
  EXPECT_EQ(got, want);
}

// The duration expression in any place of a selector or subquery.
const Expr* FindDuration(const Expr& expr) {
  const DurationValue* places[3] = {};
  if (expr.kind == Expr::Kind::kVectorSelector) {
    places[0] = &expr.As<VectorSelector>().offset;
  } else if (expr.kind == Expr::Kind::kMatrixSelector) {
    places[0] = &expr.As<MatrixSelector>().range;
    places[1] = &expr.As<MatrixSelector>().selector->offset;
  } else if (expr.kind == Expr::Kind::kSubquery) {
    places[0] = &expr.As<SubqueryExpr>().range;
    places[1] = &expr.As<SubqueryExpr>().step;
    places[2] = &expr.As<SubqueryExpr>().offset;
  }
  for (const DurationValue* place : places) {
    if (place != nullptr && place->expr != nullptr) return place->expr.get();
  }
  return nullptr;
}

TEST(ParserConformance, SeriesAndOthers) {
  const auto cases = testing::LoadCases("promql-parse/series.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const boost::json::value& c : *cases) {
    const std::string kind = testing::TextOf(c, "kind");
    const std::string input = testing::TextOf(c, "input");
    SCOPED_TRACE(kind + " " + input);
    if (kind == "series") {
      CheckSeries(c);
    } else if (kind == "histogram_literal") {
      EXPECT_EQ(ToTestExpression(HistogramOf(c.at("histogram"))), testing::TextOf(c, "literal"));
    } else if (kind == "selectors") {
      CheckSelectors(c);
    } else if (kind == "duration_span") {
      const ExprPtr expr = MustParse(input);
      const Expr* const duration = FindDuration(*expr);
      ASSERT_NE(duration, nullptr);
      const PositionRange at = duration->position;
      EXPECT_EQ(input.substr(at.start, at.end - at.start), testing::TextOf(c, "span"));
    } else if (kind == "unquoted_utf8_print") {
      EXPECT_EQ(Print(*MustParse(input)), testing::TextOf(c, "disabled"));
      ParserOptions options = kExperimental;
      options.unquoted_utf8_names = true;
      EXPECT_EQ(Print(*MustParse(input, options)), testing::TextOf(c, "enabled"));
    } else {
      ADD_FAILURE() << "unknown kind";
    }
  }
}

// -------------------------------------------------------------------------------------------------
// Facts of our own
// -------------------------------------------------------------------------------------------------

TEST(Functions, TableIsCompleteAndSorted) {
  std::set<std::string_view> names;
  std::string_view before;
  for (const FunctionSignature& function : AllFunctions()) {
    EXPECT_LT(before, function.name);
    before = function.name;
    names.insert(function.name);
    EXPECT_EQ(FindFunction(function.name), &function);
  }
  EXPECT_EQ(names.size(), 91u);
  EXPECT_EQ(FindFunction("Rate"), nullptr);
  EXPECT_EQ(FindFunction(""), nullptr);
}

// How the parser goes on behind an error shows in the errors that follow it.
TEST(Parser, ReportsSeveralErrorsAsUpstream) {
  struct Case {
    std::string_view query;
    std::vector<std::string> errors;
  };
  for (const Case& c : {
           Case{"", {"0..0 no expression found in input"}},
           Case{"foo bar", {"4..7 unexpected identifier \"bar\""}},
           Case{"sum(foo bar)",
                {"8..11 unexpected identifier \"bar\" in aggregation",
                 "0..0 no arguments for aggregate expression provided"}},
           Case{"(foo[5m + ] offset)",
                {"10..11 unexpected \"]\" in subquery or range selector, "
                 "expected number, duration, step(), or range()",
                 "18..19 unexpected \")\" in offset, expected number, "
                 "duration, step(), or range()"}},
           Case{"sum by a (foo,) + on x y",
                {"7..8 unexpected identifier \"a\" in grouping opts, expected \"(\"",
                 "13..14 trailing commas not allowed in function call args",
                 "21..22 unexpected identifier \"x\" in grouping opts, expected \"(\"",
                 "23..24 unexpected identifier \"y\""}},
           Case{"{a=, b~\"c\"}",
                {"3..4 unexpected \",\" in label matching, expected string",
                 "6..11 unexpected character inside braces: '~'"}},
           Case{"1 == 2", {"2..3 comparisons between scalars must use BOOL modifier"}},
           Case{"rate(foo, 1, 2)",
                {"0..15 expected 1 argument(s) in call to \"rate\", got 3",
                 "5..8 expected type range vector in call to function "
                 "\"rate\", got instant vector"}},
           Case{"foo offset 5m offset 6m", {"0..13 offset may not be set multiple times"}},
       }) {
    SCOPED_TRACE(c.query);
    EXPECT_EQ(ErrorsOf(c.query), c.errors);
  }
}

TEST(Parser, OperatorsBindAsDocumented) {
  struct Case {
    std::string_view query;
    std::string_view grouped;  // With a parenthesis around each binary operator.
  };
  const auto grouped = [](const Expr& expr, const auto& self) -> std::string {
    if (expr.kind == Expr::Kind::kBinary) {
      const BinaryExpr& binary = expr.As<BinaryExpr>();
      return "(" + self(*binary.lhs, self) + std::string(BinaryOpName(binary.op)) +
             self(*binary.rhs, self) + ")";
    }
    if (expr.kind == Expr::Kind::kUnary) {
      return (expr.As<UnaryExpr>().minus ? "-" : "+") + self(*expr.As<UnaryExpr>().expr, self);
    }
    return Print(expr);
  };
  for (const Case& c : {
           Case{"a or b and c", "(aor(bandc))"},
           Case{"a - b - c", "((a-b)-c)"},
           Case{"a ^ b ^ c", "(a^(b^c))"},
           Case{"-a ^ b", "-(a^b)"},
           Case{"-a * b", "(-a*b)"},
           Case{"a + b * c atan2 d", "(a+((b*c)atan2d))"},
           Case{"a </ b + c", "(a</(b+c))"},
           Case{"a offset 5m + b", "(a offset 5m+b)"},
           Case{"a offset (5m + 1) == b @ 3", "(a offset (5m + 1)==b @ 3.000)"},
       }) {
    EXPECT_EQ(grouped(*MustParse(c.query), grouped), c.grouped) << c.query;
  }
}

TEST(Parser, BoundsTheHeightOfTrees) {
  const auto repeat = [](std::string_view text, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  EXPECT_TRUE(ParseExpr("a" + repeat(" + a", 1990)).ok());
  EXPECT_TRUE(ParseExpr(repeat("(", 1990) + "a" + repeat(")", 1990)).ok());
  for (const std::string& query :
       {"a" + repeat(" + a", 100'000), repeat("(", 100'000) + "a" + repeat(")", 100'000),
        repeat("-", 100'000) + "a", repeat("sum(", 100'000), "a[" + repeat("(", 100'000),
        "a[" + repeat("-", 100'000) + "1m]", "a[1m" + repeat("+1m", 100'000) + "]",
        "a" + repeat("[1m:]", 100'000), "1" + repeat("^1", 100'000)}) {
    const Result<ExprPtr> expr = ParseExpr(query);
    ASSERT_FALSE(expr.ok()) << query.substr(0, 20);
    EXPECT_THAT(expr.status().message(), HasSubstr("more than 2000 levels of nesting"));
  }
}

TEST(Parser, MetricSelectors) {
  const Result<std::vector<Matcher>> matchers = ParseMetricSelector("up{job=~\"a|b\"}");
  ASSERT_TRUE(matchers.ok());
  ASSERT_EQ(matchers->size(), 2u);
  EXPECT_EQ(matchers->at(0).ToString(), "job=~\"a|b\"");
  EXPECT_EQ(matchers->at(1).ToString(), "__name__=\"up\"");
  EXPECT_TRUE(ParseMetricSelector("{}").ok());  // Callers check for emptiness in their own words.
  EXPECT_EQ(ParseMetricSelector("up + 1").status().message(),
            "1:4: parse error: unexpected <op:+>");
  EXPECT_EQ(ParseMetricSelector("").status().message(),
            "unknown position: parse error: unexpected end of input");
}

TEST(AstJson, ShowsEveryNode) {
  struct Case {
    std::string_view query;
    std::string_view json;
  };
  for (const Case& c : {
           Case{"-a", R"({"expr":{"anchored":false,"matchers":[{"name":"__name__","type":"=",)"
                      R"("value":"a"}],"name":"a","offset":0,"offsetExpr":null,"smoothed":false,)"
                      R"("startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"op":"-",)"
                      R"("type":"unaryExpr"})"},
           Case{"(\"<\")",
                R"({"expr":{"type":"stringLiteral","val":"\u003c"},"type":"parenExpr"})"},
           Case{"{x=\"y\"}[5m:2*1m] @ end() offset -1s",
                R"({"expr":{"anchored":false,"matchers":[{"name":"x","type":"=","value":"y"}],)"
                R"("name":"","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,)"
                R"("timestamp":null,"type":"vectorSelector"},"offset":-1000,"offsetExpr":null,)"
                R"("range":300000,"rangeExpr":null,"startOrEnd":"end","step":0,"stepExpr":)"
                R"({"lhs":{"duration":false,"type":"numberLiteral","val":"2"},"op":"*","rhs":)"
                R"({"duration":true,"type":"numberLiteral","val":"60"},"type":"durationExpr",)"
                R"("wrapped":false},"timestamp":null,"type":"subquery"})"},
           Case{"time() + 1", R"({"bool":false,"lhs":{"args":[],"func":{"argTypes":[],"name":)"
                              R"("time","returnType":"scalar","variadic":0},"type":"call"},)"
                              R"("matching":null,"op":"+","rhs":{"type":"numberLiteral","val":)"
                              R"("1"},"type":"binaryExpr"})"},
       }) {
    EXPECT_EQ(AstJson(*MustParse(c.query)), c.json);
  }
}

TEST(SeriesDescription, StartTimestamps) {
  EXPECT_TRUE(IsStartTimestampLine("  a{b=\"c\"}@st  -1m"));
  EXPECT_FALSE(IsStartTimestampLine("a 1 2"));
  EXPECT_FALSE(IsStartTimestampLine("a@st"));
  const Result<StartTimestampLine> line = ParseStartTimestampLine("a@st _ _x2 30s -1mx1 -1s-1msx2");
  ASSERT_TRUE(line.ok()) << line.status().message();
  EXPECT_EQ(line->labels.ToString(), "{__name__=\"a\"}");
  std::vector<std::string> got;
  for (const SequenceValue& value : line->offsets) {
    got.push_back(value.omitted ? "_" : FormatFloatF(value.value));
  }
  EXPECT_THAT(got,
              ElementsAre("_", "_", "_", "30000", "-60000", "-60000", "-1000", "-1001", "-1002"));
  struct Case {
    std::string_view line;
    std::string_view error;
  };
  for (const Case& c : {
           Case{"a@st 1q",
                "invalid @st sequence: invalid ST item \"1q\": invalid duration \"1q\": "
                "unknown unit \"q\" in duration \"1q\""},
           Case{"a@st _x0", "invalid @st sequence: invalid ST item \"_x0\": invalid repeat count"},
           Case{"a@st 1m+1m",
                "invalid @st sequence: invalid ST item \"1m+1m\": expected "
                "'x<count>' after step duration"},
           Case{"a@st 1m*2",
                "invalid @st sequence: invalid ST item \"1m*2\": unexpected character "
                "'*' after duration"},
           Case{"a@st s",
                "invalid @st sequence: invalid ST item \"s\": expected digits in "
                "duration \"s\""},
       }) {
    EXPECT_EQ(ParseStartTimestampLine(c.line).status().message(), c.error);
  }
}

TEST(SeriesDescription, BoundsRepetitions) {
  EXPECT_EQ(ParseSeriesDescription("a 1x99999999999").status().message(),
            "1:5: parse error: series description of more than 10000000 values");
  EXPECT_EQ(ParseSeriesDescription("a 1x1.5", {}, nullptr, 7).status().message(),
            "8:5: parse error: invalid repetition in series values: strconv.ParseUint: parsing "
            "\"1.5\": invalid syntax");
}

}  // namespace
}  // namespace narthex::promql
