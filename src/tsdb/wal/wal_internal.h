// The first byte of a fragment.
#pragma once

#include <cstdint>

namespace narthex::tsdb {

inline constexpr uint8_t kFragmentTypeMask = 0x07;
inline constexpr uint8_t kFragmentPageEnd = 0;
inline constexpr uint8_t kFragmentFull = 1;
inline constexpr uint8_t kFragmentFirst = 2;
inline constexpr uint8_t kFragmentMiddle = 3;
inline constexpr uint8_t kFragmentLast = 4;
inline constexpr uint8_t kFragmentSnappy = 0x08;
inline constexpr uint8_t kFragmentZstd = 0x10;

}  // namespace narthex::tsdb
