#pragma once

#include <map>
#include <string>

namespace prometheus {

using Labels = std::map<std::string, std::string>;

}  // namespace prometheus
