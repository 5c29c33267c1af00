// Whether a query's result is what a script expects.
#pragma once

#include "promql/engine/query_result.h"
#include "promql/script/commands.h"
#include "util/status.h"

namespace narthex::promql::script {

// Relative tolerance, except for NaN, stale markers and what is next to zero.
bool AlmostEqual(double a, double b);
bool HistogramsAlmostEqual(const FloatHistogram& expected, const FloatHistogram& actual,
                           bool with_hint);

// The error says what differs.
Status CompareResult(const EvalCommand& command, const QueryResult& result);
// The elements at the time of an instant evaluation, taken from a range query.
Status CompareVector(const EvalCommand& command, const std::vector<InstantSample>& vector,
                     bool ordered);
Status CompareScalar(const EvalCommand& command, double scalar);
Status CheckSorted(const std::vector<RangeSeries>& matrix);
Status CheckAnnotations(const EvalCommand& command, const QueryResult& result);

}  // namespace narthex::promql::script
