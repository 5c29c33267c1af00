// The function table: parity/promql.md sections 14 and 18, all 91 functions of 3.16.
#include <algorithm>
#include <string_view>
#include <vector>

#include "promql/parser/ast.h"

namespace narthex::promql {
namespace {

std::vector<FunctionSignature> MakeTable() {
  using enum ValueType;
  // Name, types of the arguments, variadic, type of the result, experimental; sorted by name.
  return {
      {"abs", {kVector}, 0, kVector, false},
      {"absent", {kVector}, 0, kVector, false},
      {"absent_over_time", {kMatrix}, 0, kVector, false},
      {"acos", {kVector}, 0, kVector, false},
      {"acosh", {kVector}, 0, kVector, false},
      {"asin", {kVector}, 0, kVector, false},
      {"asinh", {kVector}, 0, kVector, false},
      {"atan", {kVector}, 0, kVector, false},
      {"atanh", {kVector}, 0, kVector, false},
      {"avg_over_time", {kMatrix}, 0, kVector, false},
      {"ceil", {kVector}, 0, kVector, false},
      {"changes", {kMatrix}, 0, kVector, false},
      {"clamp", {kVector, kScalar, kScalar}, 0, kVector, false},
      {"clamp_max", {kVector, kScalar}, 0, kVector, false},
      {"clamp_min", {kVector, kScalar}, 0, kVector, false},
      {"cos", {kVector}, 0, kVector, false},
      {"cosh", {kVector}, 0, kVector, false},
      {"count_over_time", {kMatrix}, 0, kVector, false},
      {"day_of_month", {kVector}, 1, kVector, false},
      {"day_of_week", {kVector}, 1, kVector, false},
      {"day_of_year", {kVector}, 1, kVector, false},
      {"days_in_month", {kVector}, 1, kVector, false},
      {"deg", {kVector}, 0, kVector, false},
      {"delta", {kMatrix}, 0, kVector, false},
      {"deriv", {kMatrix}, 0, kVector, false},
      {"double_exponential_smoothing", {kMatrix, kScalar, kScalar}, 0, kVector, true},
      {"end", {}, 0, kScalar, true},
      {"exp", {kVector}, 0, kVector, false},
      {"first_over_time", {kMatrix}, 0, kVector, false},
      {"floor", {kVector}, 0, kVector, false},
      {"histogram_avg", {kVector}, 0, kVector, false},
      {"histogram_count", {kVector}, 0, kVector, false},
      {"histogram_fraction", {kScalar, kScalar, kVector}, 0, kVector, false},
      {"histogram_quantile", {kScalar, kVector}, 0, kVector, false},
      {"histogram_quantiles", {kVector, kString, kScalar, kScalar}, 9, kVector, true},
      {"histogram_stddev", {kVector}, 0, kVector, false},
      {"histogram_stdvar", {kVector}, 0, kVector, false},
      {"histogram_sum", {kVector}, 0, kVector, false},
      {"hour", {kVector}, 1, kVector, false},
      {"idelta", {kMatrix}, 0, kVector, false},
      {"increase", {kMatrix}, 0, kVector, false},
      {"info", {kVector, kVector}, 1, kVector, true},
      {"integral", {kMatrix, kScalar}, 1, kVector, true},
      {"irate", {kMatrix}, 0, kVector, false},
      {"label_join", {kVector, kString, kString, kString}, -1, kVector, false},
      {"label_replace", {kVector, kString, kString, kString, kString}, 0, kVector, false},
      {"last_over_time", {kMatrix}, 0, kVector, false},
      {"ln", {kVector}, 0, kVector, false},
      {"log10", {kVector}, 0, kVector, false},
      {"log2", {kVector}, 0, kVector, false},
      {"mad_over_time", {kMatrix}, 0, kVector, true},
      {"max_of", {kScalar, kScalar}, 0, kScalar, true},
      {"max_over_time", {kMatrix}, 0, kVector, false},
      {"min_of", {kScalar, kScalar}, 0, kScalar, true},
      {"min_over_time", {kMatrix}, 0, kVector, false},
      {"minute", {kVector}, 1, kVector, false},
      {"month", {kVector}, 1, kVector, false},
      {"pi", {}, 0, kScalar, false},
      {"predict_linear", {kMatrix, kScalar}, 0, kVector, false},
      {"present_over_time", {kMatrix}, 0, kVector, false},
      {"quantile_over_time", {kScalar, kMatrix}, 0, kVector, false},
      {"rad", {kVector}, 0, kVector, false},
      {"range", {}, 0, kScalar, true},
      {"rate", {kMatrix}, 0, kVector, false},
      {"resets", {kMatrix}, 0, kVector, false},
      {"round", {kVector, kScalar}, 1, kVector, false},
      {"scalar", {kVector}, 0, kScalar, false},
      {"sgn", {kVector}, 0, kVector, false},
      {"sin", {kVector}, 0, kVector, false},
      {"sinh", {kVector}, 0, kVector, false},
      {"sort", {kVector}, 0, kVector, false},
      {"sort_by_label", {kVector, kString}, -1, kVector, true},
      {"sort_by_label_desc", {kVector, kString}, -1, kVector, true},
      {"sort_desc", {kVector}, 0, kVector, false},
      {"sqrt", {kVector}, 0, kVector, false},
      {"start", {}, 0, kScalar, true},
      {"start_timestamp", {kVector}, 0, kVector, true},
      {"stddev_over_time", {kMatrix}, 0, kVector, false},
      {"stdvar_over_time", {kMatrix}, 0, kVector, false},
      {"step", {}, 0, kScalar, true},
      {"sum_over_time", {kMatrix}, 0, kVector, false},
      {"tan", {kVector}, 0, kVector, false},
      {"tanh", {kVector}, 0, kVector, false},
      {"time", {}, 0, kScalar, false},
      {"timestamp", {kVector}, 0, kVector, false},
      {"ts_of_first_over_time", {kMatrix}, 0, kVector, true},
      {"ts_of_last_over_time", {kMatrix}, 0, kVector, true},
      {"ts_of_max_over_time", {kMatrix}, 0, kVector, true},
      {"ts_of_min_over_time", {kMatrix}, 0, kVector, true},
      {"vector", {kScalar}, 0, kVector, false},
      {"year", {kVector}, 1, kVector, false},
  };
}

}  // namespace

const std::vector<FunctionSignature>& AllFunctions() {
  static const std::vector<FunctionSignature>* const kTable =
      new std::vector<FunctionSignature>(MakeTable());
  return *kTable;
}

const FunctionSignature* FindFunction(std::string_view name) {
  const std::vector<FunctionSignature>& table = AllFunctions();
  const auto at = std::lower_bound(
      table.begin(), table.end(), name,
      [](const FunctionSignature& row, std::string_view wanted) { return row.name < wanted; });
  return at != table.end() && at->name == name ? &*at : nullptr;
}

}  // namespace narthex::promql
