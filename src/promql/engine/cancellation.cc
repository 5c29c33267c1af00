#include "promql/engine/cancellation.h"

#include "util/thread_pool.h"
#include "util/time.h"

namespace narthex::promql {

Status Cancellation::Check(std::string_view where) const {
  if (stop.stop_requested()) {
    return MakeError(ErrorCode::kCanceled, "query was canceled in {}", where);
  }
  const int64_t now_ns = MonotonicNanos();
  if (now_ns > deadline_ns) {
    return MakeError(ErrorCode::kTimeout, "query timed out in {}", where);
  }
  if (yield_at_ns != 0 && now_ns > yield_at_ns && std::this_thread::get_id() == owner) {
    ThreadPool::LowerPriority();
  }
  return {};
}

}  // namespace narthex::promql
