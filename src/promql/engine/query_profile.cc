#include "promql/engine/query_profile.h"

#include <algorithm>

namespace narthex::promql {

void QueryProfile::RecordResult(const Expr& expr, const Value& value) {
  OperatorProfile& profile = At(expr);
  ++profile.evaluations;
  profile.series += static_cast<int64_t>(value.vector.size() + value.matrix.size());
  size_t samples = value.scalar.size();
  for (const VectorSeries& series : value.vector) samples += series.column.Count();
  for (const MatrixSeries& series : value.matrix) samples += series.samples.size();
  profile.samples += static_cast<int64_t>(samples);
  profile.bytes += static_cast<int64_t>(MemoryOf(value));
}

int64_t CountThreads(std::vector<std::thread::id> ids) {
  std::erase(ids, std::thread::id());
  std::sort(ids.begin(), ids.end());
  return std::unique(ids.begin(), ids.end()) - ids.begin();
}

}  // namespace narthex::promql
