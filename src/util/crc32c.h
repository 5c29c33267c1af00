// CRC-32C (Castagnoli), as all of Prometheus' files carry it. Uses the processor's instruction
// where there is one.
#pragma once

#include <cstdint>
#include <string_view>

namespace narthex {

// The checksum of `bytes`, or with `crc` the checksum of what `crc` covers followed by `bytes`.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

}  // namespace narthex
