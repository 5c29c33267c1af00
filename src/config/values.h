// The small value types of configuration files. Each is a type of its own so that the reader, the
// printer and the emptiness test of a field follow from its declaration (see fields.h).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"
#include "util/time.h"

namespace narthex {

// A Prometheus duration: "1h30m".
struct Duration {
  int64_t nanos = 0;

  int64_t millis() const { return nanos / kNanosPerMilli; }
  double seconds() const { return static_cast<double>(nanos) / 1e9; }
  std::string ToString() const { return FormatDuration(nanos); }
  friend constexpr auto operator<=>(const Duration&, const Duration&) = default;
};
constexpr Duration Milliseconds(int64_t n) {
  return {n * kNanosPerMilli};
}
constexpr Duration Seconds(int64_t n) {
  return {n * kNanosPerSecond};
}
constexpr Duration Minutes(int64_t n) {
  return Seconds(60 * n);
}

// A number of bytes: "15MB", "1GiB"; every unit is a power of 1024.
struct ByteSize {
  int64_t bytes = 0;

  // Errors in the words of upstream's units library: `units: unknown unit  in 12`.
  static Result<ByteSize> Parse(std::string_view text);
  std::string ToString() const;  // "15MiB", "1GiB512MiB", "0B".
  friend constexpr auto operator<=>(const ByteSize&, const ByteSize&) = default;
};

// Text that never leaves in print: `<secret>`.
struct Secret {
  std::string value;

  bool empty() const { return value.empty(); }
  friend bool operator==(const Secret&, const Secret&) = default;
};

// Values of any shape, each as JSON text.
struct JsonMap {
  std::map<std::string, std::string> values;
  friend bool operator==(const JsonMap&, const JsonMap&) = default;
};

using TextMap = std::map<std::string, std::string>;  // Sorted, as upstream prints maps.
using SecretListMap = std::map<std::string, std::vector<Secret>>;
using StringListMap = std::map<std::string, std::vector<std::string>>;

}  // namespace narthex
