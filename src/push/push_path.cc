#include "push/push_path.h"

#include <array>
#include <map>
#include <vector>

#include "narthex/client/names.h"
#include "util/strings.h"

namespace narthex::push {
namespace {

constexpr std::string_view kReservedPrefix = "__";
constexpr std::string_view kEscapedPrefix = "U__";

constexpr std::array<int8_t, 256> kDigits = [] {
  std::array<int8_t, 256> digits{};
  digits.fill(-1);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  }
  return digits;
}();

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<std::string> DecodeUrlBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int8_t digit = kDigits[static_cast<uint8_t>(text[i])];
    // Go's decoder passes over line ends.
    if (text[i] == '\n' || text[i] == '\r') continue;
    if (digit < 0) {
      return MakeError(ErrorCode::kInvalidInput, "illegal base64 data at input byte {}", i);
    }
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count));
    }
  }
  // One digit alone cannot make a byte.
  if (count == 6) {
    return MakeError(ErrorCode::kInvalidInput, "illegal base64 data at input byte {}",
                     text.size() - 1);
  }
  return out;
}

std::string UnescapeValuesName(std::string_view name) {
  constexpr size_t kHexDigitsMax = 6;
  if (!name.starts_with(kEscapedPrefix)) return std::string(name);
  const std::string_view escaped = name.substr(kEscapedPrefix.size());
  std::string out;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '_') {
      out.push_back(escaped[i]);
      continue;
    }
    if (i + 1 < escaped.size() && escaped[i + 1] == '_') {
      out.push_back('_');
      ++i;
      continue;
    }
    const size_t end = escaped.find('_', i + 1);
    if (end == std::string_view::npos || end == i + 1 || end - i - 1 > kHexDigitsMax) {
      return std::string(name);
    }
    char32_t rune = 0;
    for (const char c : escaped.substr(i + 1, end - i - 1)) {
      const int digit = HexDigit(c);
      if (digit < 0) return std::string(name);
      rune = rune * 16 + static_cast<char32_t>(digit);
    }
    AppendRune(rune, &out);
    i = end;
  }
  return out;
}

Result<client::Labels> ParsePushPath(std::string_view job, std::string_view rest,
                                     const PathOptions& options) {
  std::string job_name(job);
  if (options.job_base64) {
    Result<std::string> decoded = DecodeUrlBase64(job);
    if (!decoded.ok()) {
      // The name has nothing in it yet when it is quoted here, as upstream has it.
      return decoded.status().WithPrefix("invalid base64 encoding in job name \"\": ");
    }
    job_name = *std::move(decoded);
  }
  std::map<std::string, std::string> labels;
  const auto validation =
      options.utf8_names ? client::NameValidation::kUtf8 : client::NameValidation::kLegacy;
  if (rest.size() > 1) {
    const std::vector<std::string_view> parts = Split(rest.substr(1), '/');
    if (parts.size() % 2 != 0) {
      return MakeError(ErrorCode::kInvalidInput, "odd number of components in label string {}",
                       GoQuote(rest));
    }
    for (size_t i = 0; i < parts.size(); i += 2) {
      std::string_view name = parts[i];
      const bool base64 = name.ends_with(kBase64Suffix);
      if (base64) name.remove_suffix(kBase64Suffix.size());
      const std::string plain = options.utf8_names ? UnescapeValuesName(name) : std::string(name);
      if (!client::IsValidLabelName(plain, validation) || name.starts_with(kReservedPrefix)) {
        return MakeError(ErrorCode::kInvalidInput, "improper label name {}", GoQuote(name));
      }
      if (!base64) {
        labels[plain] = std::string(parts[i + 1]);
        continue;
      }
      NARTHEX_TRY(labels[plain], [&] {
        Result<std::string> value = DecodeUrlBase64(parts[i + 1]);
        if (value.ok()) return value;
        return Result<std::string>(value.status().WithPrefix("invalid base64 encoding for label " +
                                                             std::string(name) + "=" +
                                                             GoQuote(parts[i + 1]) + ": "));
      }());
    }
  }
  if (job_name.empty()) return Status(ErrorCode::kInvalidInput, "job name is required");
  labels["job"] = job_name;
  client::Labels sorted;
  sorted.reserve(labels.size());
  for (auto& [name, value] : labels) sorted.push_back({name, std::move(value)});
  return sorted;
}

}  // namespace narthex::push
