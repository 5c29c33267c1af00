// Any bytes as a tombstones file, with and without a right checksum: an error or intervals in
// order, which are written and read back the same.
#include <cstdint>
#include <string>

#include "tsdb/block/tombstones.h"
#include "util/bytes.h"
#include "util/check.h"
#include "util/crc32c.h"

namespace {

using namespace narthex;
using namespace narthex::tsdb;

void Check(std::string_view file) {
  const Result<Tombstones> decoded = DecodeTombstonesFile(file);
  if (!decoded.ok()) return;
  uint64_t count = 0;
  for (const auto& [ref, ranges] : decoded->by_ref()) {
    for (size_t i = 1; i < ranges.size(); ++i) {
      NARTHEX_CHECK(ranges[i - 1].end_ms < ranges[i].start_ms);
    }
    count += ranges.size();
  }
  NARTHEX_CHECK(count == decoded->count());
  const Result<Tombstones> again = DecodeTombstonesFile(EncodeTombstonesFile(*decoded));
  NARTHEX_CHECK(again.ok() && again->by_ref().size() == decoded->by_ref().size());
  NARTHEX_CHECK(EncodeTombstonesFile(*again) == EncodeTombstonesFile(*decoded));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kHeaderBytes = 5;
  std::string file(reinterpret_cast<const char*>(data), size);
  Check(file);
  if (file.size() < kHeaderBytes + 4) return 0;
  // Made right, so that the entries are reached.
  StoreBigEndian32(file.data(), 0x0130BA30);
  file[4] = 1;
  StoreBigEndian32(
      file.data() + file.size() - 4,
      Crc32c(std::string_view(file).substr(kHeaderBytes, file.size() - kHeaderBytes - 4)));
  Check(file);
  return 0;
}
