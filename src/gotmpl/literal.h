// Go's literals: quoted strings, character constants and numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gotmpl/node.h"
#include "util/status.h"

namespace narthex::gotmpl {

// strconv.Unquote of "…" and `…`; nothing when the syntax is wrong.
std::optional<std::string> UnquoteGo(std::string_view quoted);

enum class NumberForm : uint8_t { kPlain, kCharConstant, kComplex };
// Fills value and kinds of the number from its text; errors in Go's words.
Status ParseGoNumber(std::string_view text, NumberForm form, NumberNode* number);

}  // namespace narthex::gotmpl
