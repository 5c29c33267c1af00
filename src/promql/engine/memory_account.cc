#include "promql/engine/memory_account.h"

#include <fmt/format.h>

namespace narthex::promql {
namespace {

// In the largest unit that divides it, as the flag takes it.
std::string SizeText(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (unit + 1 < std::size(kUnits) && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

}  // namespace

Status MemoryAccount::Take(int64_t bytes) {
  const int64_t held = held_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = peak_bytes_.load(std::memory_order_relaxed);
  while (held > peak && !peak_bytes_.compare_exchange_weak(peak, held, std::memory_order_relaxed)) {
  }
  if (limit_bytes_ == 0 || held <= limit_bytes_) return {};
  refused_.store(true, std::memory_order_relaxed);
  return MakeError(ErrorCode::kExecution,
                   "query processing would use more memory than --query.max-memory={} in query "
                   "execution",
                   SizeText(limit_bytes_));
}

}  // namespace narthex::promql
