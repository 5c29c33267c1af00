// The difference of two lists of objects as coloured JSON, for people at a terminal: what only the
// first has is red, what only the second has green, a changed value yellow.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace narthex::apps {

// Objects of objects of texts, such as {"Labels": {"a": "b"}}.
using JsonDiffObject = std::map<std::string, std::map<std::string, std::string>>;

std::string DiffJson(const std::vector<JsonDiffObject>& first,
                     const std::vector<JsonDiffObject>& second);

}  // namespace narthex::apps
