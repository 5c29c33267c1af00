// MD5, for values that upstream derives with it (hashmod relabelling, names of remote-write
// queues). Not for anything that has to be secure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace narthex {

std::array<uint8_t, 16> Md5(std::string_view bytes);
// In lower-case hexadecimal digits.
std::string Md5Hex(std::string_view bytes);

}  // namespace narthex
