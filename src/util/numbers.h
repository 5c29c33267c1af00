// Numbers as Go prints and reads them: upstream's texts, APIs and files are full of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace narthex {

// Bits of the two NaNs that Prometheus tells apart. Staleness is an exact comparison of bits.
inline constexpr uint64_t kNormalNanBits = 0x7ff8000000000001;
inline constexpr uint64_t kStaleNanBits = 0x7ff0000000000002;
double NormalNan();
double StaleNan();
bool IsStaleNan(double v);

// strconv.FormatFloat(v, 'f', -1, 64): shortest digits that read back, never an exponent.
std::string FormatFloatF(double v);
// strconv.FormatFloat(v, 'g', -1, 64), also what %v and %g print: an exponent below 1e-4 and from
// 1e6 on.
std::string FormatFloatG(double v);
// strconv.FormatFloat(v, 'e', -1, 64).
std::string FormatFloatE(double v);
// Sample values in the HTTP API's JSON: 'f' form, but 'e' when |v| < 1e-6 or |v| >= 1e21.
void AppendJsonFloat(double v, std::string* out);
// The same into memory of the caller; gives the end of the text.
inline constexpr size_t kJsonFloatBytesMax = 32;
char* WriteJsonFloat(double v, char* to);
// The general %g of C with a precision ('%.2g'), in Go's spelling.
std::string FormatFloatGPrecision(double v, int precision);
// '%.*f' in Go's spelling of the special values.
std::string FormatFloatFPrecision(double v, int precision);

// strconv.ParseFloat(text, 64): decimal, hexadecimal with p exponent, inf, infinity, nan in any
// case, underscores never. Nothing when the text is not wholly a number. A value out of range
// gives ±Inf and sets *out_of_range when asked.
std::optional<double> ParseFloat(std::string_view text, bool* out_of_range = nullptr);
// Decimal integer with optional sign; nothing when malformed or out of range.
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<uint64_t> ParseUint(std::string_view text);
// strconv.ParseBool: 1 t T TRUE true True 0 f F FALSE false False.
std::optional<bool> ParseBool(std::string_view text);

}  // namespace narthex
