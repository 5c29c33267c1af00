#include "config/values.h"

#include <cmath>
#include <limits>

#include "util/numbers.h"

namespace narthex {

namespace {

// Powers of 1024, from bytes on.
constexpr std::string_view kPrefixes[] = {"", "K", "M", "G", "T", "P", "E"};

// Takes decimal digits; nothing when there are too many for 64 bits.
bool TakeDigits(std::string_view* text, double* value) {
  int64_t number = 0;
  while (!text->empty() && text->front() >= '0' && text->front() <= '9') {
    if (number >= (std::numeric_limits<int64_t>::max() - 9) / 10) return false;
    number = number * 10 + (text->front() - '0');
    text->remove_prefix(1);
  }
  *value = static_cast<double>(number);
  return true;
}

// The factor of "MiB" or "MB", by the suffix that all units but bytes have.
bool UnitFactor(std::string_view unit, std::string_view suffix, double* factor) {
  *factor = 1;
  for (const std::string_view prefix : kPrefixes) {
    const std::string name = std::string(prefix) + std::string(prefix.empty() ? "B" : suffix);
    if (name == unit) return true;
    *factor *= 1024;
  }
  return false;
}

// A sum of numbers with units, all of one family ("iB" or "B").
Result<ByteSize> ParseWithSuffix(std::string_view text, std::string_view suffix) {
  const auto invalid = [&] {
    return MakeError(ErrorCode::kInvalidInput, "units: invalid {}", text);
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return ByteSize{};
  if (rest.empty()) return invalid();
  double total = 0;
  while (!rest.empty()) {
    const size_t before = rest.size();
    double number = 0;
    if (!TakeDigits(&rest, &number)) return invalid();
    bool has_digits = rest.size() < before;
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      const size_t whole = rest.size();
      double fraction = 0;
      if (!TakeDigits(&rest, &fraction)) return invalid();
      has_digits = has_digits || rest.size() < whole;
      number += fraction / std::pow(10.0, static_cast<double>(whole - rest.size()));
    }
    if (!has_digits) return invalid();
    const std::string_view unit = rest.substr(0, rest.find_first_of(".0123456789"));
    rest.remove_prefix(unit.size());
    double factor = 1;
    if (!UnitFactor(unit, suffix, &factor)) {
      return MakeError(ErrorCode::kInvalidInput, "units: unknown unit {} in {}", unit, text);
    }
    total += number * factor;
  }
  if (negative) total = -total;
  constexpr double kLimit = 9223372036854775808.0;
  if (total < -kLimit || total >= kLimit) {
    return Status(ErrorCode::kInvalidInput, "units: overflow parsing unit");
  }
  return ByteSize{static_cast<int64_t>(total)};
}

}  // namespace

Result<ByteSize> ByteSize::Parse(std::string_view text) {
  Result<ByteSize> size = ParseWithSuffix(text, "iB");
  return size.ok() ? size : ParseWithSuffix(text, "B");
}

std::string ByteSize::ToString() const {
  if (bytes == 0) return "0B";
  std::string out;
  int64_t rest = bytes;
  for (const std::string_view prefix : kPrefixes) {
    if (rest == 0) break;
    const int64_t digits = rest % 1024;
    if (digits != 0) {
      out = std::to_string(digits) + std::string(prefix) + (prefix.empty() ? "B" : "iB") + out;
    }
    rest /= 1024;
  }
  return out;
}

}  // namespace narthex
