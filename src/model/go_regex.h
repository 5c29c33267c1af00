// Compiles an expression in Go's syntax with RE2, and speaks of mistakes in Go's words.
//
// The two engines share their syntax but for details: Go also takes (?<name>…) for a named group,
// and has no \C.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "util/status.h"

namespace re2 {
class RE2;
}

namespace narthex {

// Whether `.` matches a line break without (?s).
enum class GoRegexDot : uint8_t { kNotNewline, kAnything };

// Errors: `error parsing regexp: missing closing ): `(a``. `bytes_max` bounds what one expression
// may take; Go has no such bound, so it should be generous.
Result<std::unique_ptr<const re2::RE2>> CompileGoRegex(std::string_view pattern, int64_t bytes_max,
                                                       GoRegexDot dot = GoRegexDot::kNotNewline);

// The error of a pattern that is not UTF-8, for those who see that without compiling it.
Status InvalidUtf8Regex(std::string_view pattern);

}  // namespace narthex
