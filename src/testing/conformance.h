// Reading the conformance sets: JSON lines whose odd values (bytes, NaN, infinities) are spelled as
// strings or objects. For tests only.
//
// The folder is $NARTHEX_CONFORMANCE_DIR, or ../shared/conformance beside the repository. Where it
// is missing a test says so by being skipped:
//
//   const auto cases = testing::LoadCases("tsdb/regex.jsonl");
//   if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
#pragma once

#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/numbers.h"

namespace narthex::testing {

inline constexpr std::string_view kNoConformanceData =
    "conformance data not found; set NARTHEX_CONFORMANCE_DIR";

inline std::filesystem::path ConformancePath(std::string_view name) {
  const char* folder = std::getenv("NARTHEX_CONFORMANCE_DIR");
  const std::filesystem::path base =
      folder != nullptr ? std::filesystem::path(folder)
                        : std::filesystem::path(NARTHEX_SOURCE_DIR) / "../shared/conformance";
  return base / name;
}

inline std::optional<std::string> LoadText(std::string_view name) {
  std::ifstream file(ConformancePath(name), std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// One value a line; blank lines are left out.
inline std::optional<std::vector<boost::json::value>> LoadCases(std::string_view name) {
  const std::optional<std::string> text = LoadText(name);
  if (!text) return std::nullopt;
  std::vector<boost::json::value> cases;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string_view line = std::string_view(*text).substr(at, end - at);
    if (!line.empty()) {
      cases.push_back(boost::json::parse(boost::json::string_view(line.data(), line.size())));
    }
    at = end + 1;
  }
  return cases;
}

inline std::string DecodeBase64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count));
    }
  }
  return out;
}

// The member, or null when it is missing.
inline const boost::json::value* Find(const boost::json::value& object, std::string_view key) {
  return object.as_object().if_contains(boost::json::string_view(key.data(), key.size()));
}

// A text, or {"base64": …}.
inline std::string AsText(const boost::json::value& value) {
  if (value.is_null()) return {};
  if (value.is_object()) return DecodeBase64(std::string_view(value.at("base64").as_string()));
  return std::string(std::string_view(value.as_string()));
}
inline std::string TextOf(const boost::json::value& object, std::string_view key) {
  const boost::json::value* member = Find(object, key);
  return member == nullptr ? std::string() : AsText(*member);
}
inline bool BoolOf(const boost::json::value& object, std::string_view key) {
  const boost::json::value* member = Find(object, key);
  return member != nullptr && member->is_bool() && member->as_bool();
}

// A number, or "NaN", "+Inf", "-Inf", "stale".
inline double AsDouble(const boost::json::value& value) {
  if (value.is_string()) {
    const std::string text = AsText(value);
    if (text == "stale") return StaleNan();
    return ParseFloat(text).value_or(std::nan(""));
  }
  return value.to_number<double>();
}
inline double DoubleOf(const boost::json::value& object, std::string_view key) {
  const boost::json::value* member = Find(object, key);
  return member == nullptr || member->is_null() ? 0 : AsDouble(*member);
}
inline int64_t IntOf(const boost::json::value& object, std::string_view key) {
  const boost::json::value* member = Find(object, key);
  return member == nullptr || member->is_null() ? 0 : member->to_number<int64_t>();
}

}  // namespace narthex::testing
