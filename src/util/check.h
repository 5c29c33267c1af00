// Invariants of our own code. A broken one aborts with its text and place; input from disk,
// network or a user never reaches a check.
#pragma once

namespace narthex {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace narthex

#define NARTHEX_CHECK(condition)                \
  (__builtin_expect(!!(condition), 1) ? void(0) \
                                      : ::narthex::CheckFailed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define NARTHEX_DCHECK(condition) void(0)
#else
#define NARTHEX_DCHECK(condition) NARTHEX_CHECK(condition)
#endif
