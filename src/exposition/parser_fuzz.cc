// The first byte chooses format and options, the rest is the body. Beside not crashing, a parser
// must end, and taking a line by its hash must equal reading it.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "exposition/content_type.h"
#include "util/check.h"
#include "util/hash.h"

using narthex::FastHash64;
using narthex::exposition::ContentType;
using narthex::exposition::CreateParser;
using narthex::exposition::Entry;
using narthex::exposition::ParserOptions;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto format = static_cast<ContentType::Format>(choice & 3);
  ParserOptions options;
  options.type_and_unit_labels = (choice & 4) != 0;
  options.ignore_native_histograms = (choice & 8) != 0;
  options.convert_classic_to_custom = (choice & 16) != 0;
  options.keep_classic = (choice & 32) != 0;
  options.skip_created_series = (choice & 64) != 0;

  const auto reader = CreateParser(format, body, options);
  const auto taker = CreateParser(format, body, options);
  // Every entry takes at least a byte, but one protobuf metric gives several, and conversion adds.
  size_t budget = 64 * size + 1024;
  for (;;) {
    const Entry entry = reader->Next();
    if (entry == Entry::kEnd || entry == Entry::kError) break;
    NARTHEX_CHECK(budget-- > 0);
    const bool sample = entry == Entry::kSeries || entry == Entry::kHistogram;
    const bool taken =
        entry == Entry::kSeries &&
        taker->TakeKnownSeries(reader->series().size(), FastHash64(reader->series()));
    if (!taken) NARTHEX_CHECK(taker->Next() == entry);
    if (!sample) continue;
    NARTHEX_CHECK(std::bit_cast<uint64_t>(taker->value()) ==
                      std::bit_cast<uint64_t>(reader->value()) ||
                  entry == Entry::kHistogram);
    NARTHEX_CHECK(taker->timestamp_ms() == reader->timestamp_ms());
    (void)reader->SeriesLabels();
    for (narthex::Exemplar exemplar; reader->NextExemplar(&exemplar);) {
    }
    if ((choice & 128) != 0) (void)reader->StartTimestampMs();
  }
  return 0;
}
