#include "web/assets/assets.h"

#include <utility>

#include "util/compress.h"

namespace narthex::web {
namespace {

struct EmbeddedAsset {
  std::string_view path;
  struct {
    const char* begin;
    const char* end;
  } bytes;
};

#include "assets_table.inc"

constexpr size_t kUnpackedBytesMax = 64 << 20;

std::string_view ContentTypeOf(std::string_view path) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".json", "application/json"},
      {".map", "application/json"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".woff2", "font/woff2"},
      {".woff", "font/woff"},
      {".txt", "text/plain; charset=utf-8"},
  };
  for (const auto& [suffix, type] : kTypes) {
    if (path.ends_with(suffix)) return type;
  }
  return "application/octet-stream";
}

}  // namespace

std::optional<Asset> FindAsset(std::string_view path) {
  for (const EmbeddedAsset& asset : kAssets) {
    if (path.empty() || asset.path != path) continue;
    return Asset{{asset.bytes.begin, static_cast<size_t>(asset.bytes.end - asset.bytes.begin)},
                 ContentTypeOf(path)};
  }
  return std::nullopt;
}

std::string Unpack(const Asset& asset) {
  // Our own bytes: they unpack.
  return GzipDecompress(asset.gzipped, kUnpackedBytesMax).value_or(std::string());
}

}  // namespace narthex::web
