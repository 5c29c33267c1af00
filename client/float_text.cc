// Floats as Go's strconv prints them with the verb g and the shortest precision.
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "narthex/client/exposition.h"

namespace narthex::client {
namespace {

// std::to_chars gives the shortest digits; where C's %g would choose the exponent form by the
// number of digits, Go takes it below 1e-4 and from 1e6 on.
void AppendFinite(double v, std::string& out) {
  char buffer[32];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer - 1, v, std::chars_format::scientific);
  *end = '\0';  // For atoi.
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.data() + e + 1);
  char digits[20];
  size_t count = 0;
  for (const char c : text.substr(0, e)) {
    if (c != '.') digits[count++] = c;
  }
  const int digit_count = static_cast<int>(count);
  if (exponent < -4 || exponent >= 6) {
    out += text;  // to_chars prints the exponent as Go does: a sign and at least two digits.
    return;
  }
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<size_t>(-exponent - 1), '0');
    out.append(digits, count);
  } else if (digit_count <= exponent + 1) {
    out.append(digits, count);
    out.append(static_cast<size_t>(exponent + 1 - digit_count), '0');
  } else {
    const size_t whole = static_cast<size_t>(exponent) + 1;
    out.append(digits, whole);
    out += '.';
    out.append(digits + whole, count - whole);
  }
}

bool AppendSpecial(double v, std::string& out) {
  if (std::isnan(v)) {
    out += "NaN";
  } else if (std::isinf(v)) {
    out += v > 0 ? "+Inf" : "-Inf";
  } else {
    return false;
  }
  return true;
}

}  // namespace

void AppendFloat(double v, std::string& out) {
  // Counts, mostly. A negative zero is written as 0 too.
  if (v >= 0 && v < 1e6 && static_cast<double>(static_cast<int>(v)) == v) {
    char digits[8];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, static_cast<int>(v)).ptr);
    return;
  }
  if (!AppendSpecial(v, out)) AppendFinite(v == 0 ? 0 : v, out);
}

void AppendOpenMetricsFloat(double v, std::string& out) {
  const size_t begin = out.size();
  AppendFloat(v, out);
  if (std::isfinite(v) && out.find_first_of(".e", begin) == std::string::npos) out += ".0";
}

}  // namespace narthex::client
