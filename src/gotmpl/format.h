// Go's fmt: how values print, with and without a format.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gotmpl/value.h"

namespace narthex::gotmpl {

// fmt.Sprint: operands with the default format, a space between two that are no strings.
std::string Sprint(std::span<const Value> values);
// fmt.Sprintln: always a space between, and a line break at the end.
std::string Sprintln(std::span<const Value> values);
// fmt.Sprintf, with Go's verbs, flags, widths, precisions, argument indexes and its complaints.
std::string Sprintf(std::string_view format, std::span<const Value> values);
// The default format of one value, %v.
std::string FormatValue(const Value& value);

}  // namespace narthex::gotmpl
