// Any bytes as an index file: opening, every list and every series give an error or data. The
// checksums are made right first, so that the parsers behind them are reached.
#include <cstdint>
#include <string>

#include "tsdb/index/index_reader.h"
#include "util/bytes.h"
#include "util/crc32c.h"

namespace {

// Sets the checksum of the section at `offset`, as far as there is one.
void FixSection(std::string* file, uint64_t offset) {
  if (offset > file->size() || file->size() - offset < 8) return;
  const uint64_t length = narthex::LoadBigEndian32(file->data() + offset);
  if (file->size() - offset - 8 < length) return;
  narthex::StoreBigEndian32(file->data() + offset + 4 + length,
                            narthex::Crc32c(std::string_view(*file).substr(offset + 4, length)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  using namespace narthex::tsdb;
  std::string file(reinterpret_cast<const char*>(data), size);
  if (file.size() < kIndexHeaderBytes + kIndexTocBytes) return 0;
  StoreBigEndian32(file.data(), kIndexMagic);
  file[4] = static_cast<char>(1 + static_cast<uint8_t>(file[4]) % 3);
  const size_t toc = file.size() - kIndexTocBytes;
  // Offsets somewhere in the file, or nothing would ever be read.
  for (size_t i = 0; i < 6; ++i) {
    StoreBigEndian64(file.data() + toc + i * 8, LoadBigEndian64(file.data() + toc + i * 8) % toc);
  }
  FixSection(&file, LoadBigEndian64(file.data() + toc));
  FixSection(&file, LoadBigEndian64(file.data() + toc + 40));
  StoreBigEndian32(file.data() + toc + 48,
                   Crc32c(std::string_view(file).substr(toc, kIndexTocBytes - 4)));
  const auto reader = IndexReader::OpenBytes(file);
  if (!reader.ok()) return 0;
  std::vector<LabelView> labels;
  std::vector<ChunkMeta> chunks;
  for (const std::string_view name : (*reader)->LabelNames()) {
    for (const std::string_view value : (*reader)->LabelValues(name)) {
      (void)(*reader)->Postings(name, value);
    }
  }
  for (uint32_t ref = 0; ref < file.size(); ++ref) {
    (void)(*reader)->ReadSeries(ref, &labels, &chunks);
    (void)(*reader)->LabelValueOf(ref, "a");
  }
  return 0;
}
