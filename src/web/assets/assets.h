// The web UI's files, embedded in the executable and gzipped.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace narthex::web {

struct Asset {
  std::string_view gzipped;
  std::string_view content_type;
};

// `path` without a leading slash, for example "assets/index-abc.js".
std::optional<Asset> FindAsset(std::string_view path);
// The file as it was before compression.
std::string Unpack(const Asset& asset);

}  // namespace narthex::web
