#include "util/environment.h"

#include <cstdlib>

namespace narthex {

std::string EnvironmentVariable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace narthex
