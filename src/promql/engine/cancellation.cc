#include "promql/engine/cancellation.h"

#include "util/time.h"

namespace narthex::promql {

Status Cancellation::Check(std::string_view where) const {
  if (stop.stop_requested()) {
    return MakeError(ErrorCode::kCanceled, "query was canceled in {}", where);
  }
  if (MonotonicNanos() > deadline_ns) {
    return MakeError(ErrorCode::kTimeout, "query timed out in {}", where);
  }
  return {};
}

}  // namespace narthex::promql
