// Parses, prints and formats PromQL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "promql/parser/ast.h"
#include "util/status.h"

namespace narthex::promql {

struct ParserOptions {
  bool experimental_functions = false;  // promql-experimental-functions
  bool binop_fill_modifiers = false;    // promql-binop-fill-modifiers
  bool unquoted_utf8_names = false;     // promql-unquoted-utf8-names
};

struct ParseError {
  PositionRange position;
  std::string message;  // Without position.
};

// On failure the status' message is the first error in full: "1:5: parse error: …".
// `errors`, when given, gets all of them.
Result<ExprPtr> ParseExpr(std::string_view query, const ParserOptions& options = {},
                          std::vector<ParseError>* errors = nullptr);
// A bare vector selector ("up{job=\"x\"}"), as match[] parameters carry it.
Result<std::vector<Matcher>> ParseMetricSelector(std::string_view selector,
                                                 const ParserOptions& options = {});

// The canonical one-line form, upstream's String().
std::string Print(const Expr& expr);
// Upstream's formatter: lines over 100 characters are split, two spaces a level.
std::string PrettyPrint(const Expr& expr);
// The tree as /api/v1/parse_query shows it.
std::string AstJson(const Expr& expr);

}  // namespace narthex::promql
