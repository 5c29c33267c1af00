// Reads template text into trees.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "gotmpl/node.h"
#include "util/status.h"

namespace narthex::gotmpl {

using TreeSet = std::map<std::string, std::shared_ptr<Tree>, std::less<>>;

// The template `name` and all that its text defines. Errors in Go's words:
// `template: name:1: unclosed action`.
Result<TreeSet> ParseTemplate(std::string_view name, std::string_view text,
                              const std::function<bool(std::string_view)>& has_function);

}  // namespace narthex::gotmpl
