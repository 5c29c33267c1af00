// The functions that every template has.
#pragma once

#include <string>
#include <string_view>

#include "gotmpl/value.h"

namespace narthex::gotmpl {

// Null when there is none of the name. `and`, `or` and `call` are special: the executor does their
// work and only takes their signatures from here.
const std::shared_ptr<const Function>& FindBuiltin(std::string_view name);

// The built-in `call`: runs a function value.
Result<Value> CallFunction(std::string_view name, const Value& function, Arguments arguments);

// Texts for pages: &<>"' and NUL replaced.
std::string HtmlEscape(std::string_view text);
std::string JsEscape(std::string_view text);
// url.QueryEscape: spaces become +.
std::string QueryEscape(std::string_view text);

}  // namespace narthex::gotmpl
