// Elementary functions with the roundings of Go's math package on amd64.
//
// Query answers show every bit of a result, so the last place matters: the C library is mostly a
// little better than Go, and therefore different. The algorithms are the published ones that Go
// took, too: Cephes (trigonometric functions, arc tangent, hyperbolic tangent), Hart and Cheney
// (hyperbolic sine), FreeBSD's msun (logarithms, exp2, inverse hyperbolic functions), Shibata's
// exponential function for SIMD. The order of operations is part of each.
//
// What is not here is exact or correctly rounded in both: sqrt, floor, ceil, fmod, ldexp.
//
// Tests: go_math_test.cc holds checksums of Go's answers to a million arguments, made by
// tests/differential/go_math.go.
#pragma once

namespace narthex::go {

double Log(double x);
double Log2(double x);
double Log10(double x);
double Log1p(double x);
double Exp(double x);
double Exp2(double x);
double Pow(double x, double y);

double Sin(double x);
double Cos(double x);
double Tan(double x);
double Asin(double x);
double Acos(double x);
double Atan(double x);
double Atan2(double y, double x);

double Sinh(double x);
double Cosh(double x);
double Tanh(double x);
double Asinh(double x);
double Acosh(double x);
double Atanh(double x);

}  // namespace narthex::go
