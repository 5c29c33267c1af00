// The natural logarithm and those of base 2 and 10 with the roundings of Go's on amd64, which is
// where reference answers come from. The C library's are as good but differ in the last place, and
// results that depend on a comparison, or on a sine of something large, show it.
//
// The method is the one published with fdlibm: x = 2^k * f1 with f1 in [sqrt(1/2), sqrt(2)), and a
// polynomial in s = f / (2 + f), f = f1 - 1. Denormal numbers are read as if their first bit stood
// where normal ones have it: wrong, but what Go gives there.
#pragma once

namespace narthex::promql {

double NaturalLog(double x);
double BinaryLog(double x);
double DecimalLog(double x);

}  // namespace narthex::promql
