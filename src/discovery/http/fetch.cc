#include "discovery/http/fetch.h"

#include "util/strings.h"

namespace narthex {

std::string_view FetchResponse::Header(std::string_view name) const {
  const std::string lower = ToLower(name);
  for (const auto& [key, value] : headers) {
    if (ToLower(key) == lower) return value;
  }
  return {};
}

}  // namespace narthex
