// The shortest decimal digits that read back as the same double, and of those the nearest.
//
// The method is Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020): scale the
// rounding interval of the double by a power of ten of 128 bits, so that it holds at least one
// integer and at most a few, and pick from these. Answers of queries are mostly such texts, and the
// standard library takes three times as long.
//
// Threads: any; the table of powers is made when first asked for.
#pragma once

#include <cstddef>
#include <cstdint>

namespace narthex {

// digits * 10^exponent. Digits may end in zeros.
struct ShortestDecimal {
  uint64_t digits = 0;
  int exponent = 0;
};

// Of a finite, positive double.
ShortestDecimal ToShortestDecimal(double v);

// Writes a finite value of magnitude in [1e-6, 1e15], or zero, without an exponent; gives the end
// of the text. More may be written to than the text takes.
inline constexpr size_t kPlainDecimalBytesMax = 64;
char* WritePlainDecimal(double v, char* to);

}  // namespace narthex
