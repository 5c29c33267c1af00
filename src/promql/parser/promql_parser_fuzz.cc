// Any text may come as a query. What parses must print to something that parses to the same text
// again, whole and formatted; every error must have a place inside the query.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "promql/parser/parser.h"
#include "promql/parser/series_description.h"
#include "util/check.h"

using namespace narthex;          // NOLINT: one small program.
using namespace narthex::promql;  // NOLINT

namespace {

void CheckQuery(std::string_view query, const ParserOptions& options) {
  std::vector<ParseError> errors;
  const Result<ExprPtr> expr = ParseExpr(query, options, &errors);
  NARTHEX_CHECK(expr.ok() == errors.empty());
  for (const ParseError& error : errors) {
    NARTHEX_CHECK(error.position.start <= query.size());
    NARTHEX_CHECK(!error.message.empty());
  }
  if (!expr.ok()) return;
  const std::string printed = Print(**expr);
  NARTHEX_CHECK(Print(*Clone(**expr)) == printed);
  NARTHEX_CHECK(!AstJson(**expr).empty());
  // Upstream's printed form drops a plus and folds signs, so a second print may differ from the
  // first; from then on it must not change.
  for (const std::string& text : {printed, PrettyPrint(**expr)}) {
    const Result<ExprPtr> again = ParseExpr(text, options);
    if (!again.ok()) continue;  // Printed offsets of NaN and the like are not durations.
    const Result<ExprPtr> third = ParseExpr(Print(**again), options);
    if (third.ok()) NARTHEX_CHECK(Print(**third) == Print(**again));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ParserOptions options{.experimental_functions = (data[0] & 1) != 0,
                              .binop_fill_modifiers = (data[0] & 2) != 0,
                              .unquoted_utf8_names = (data[0] & 4) != 0};
  CheckQuery(text, options);
  (void)ParseMetricSelector(text, options).ok();
  (void)ParseMetric(text, options).ok();
  // Long repetitions are legal and only cost time.
  size_t digits = 0;
  for (const char c : text) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 4) return 0;
  }
  (void)ParseSeriesDescription(text, options).ok();
  if (IsStartTimestampLine(text)) (void)ParseStartTimestampLine(text, options).ok();
  return 0;
}
