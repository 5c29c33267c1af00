// Any bytes as meta.json: an error, or a meta that is printed and read back the same.
#include <cstdint>
#include <string_view>

#include "tsdb/block/block_meta.h"
#include "util/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  using namespace narthex::tsdb;
  const Result<BlockMeta> meta =
      ParseBlockMeta(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!meta.ok()) return 0;
  const std::string printed = FormatBlockMeta(*meta);
  const Result<BlockMeta> again = ParseBlockMeta(printed);
  NARTHEX_CHECK(again.ok());
  NARTHEX_CHECK(FormatBlockMeta(*again) == printed);
  return 0;
}
