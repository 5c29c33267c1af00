#include "gotmpl/text_tools.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <map>
#include <vector>

#include "model/matcher.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

// -------------------------------------------------------------------------------------------------
// Cases
// -------------------------------------------------------------------------------------------------

// Letters whose cases lie `delta` apart.
struct CaseRange {
  char32_t lower_first;
  char32_t lower_last;
  int delta;  // From lower to upper.
};
constexpr CaseRange kCaseRanges[] = {
    {'a', 'z', -32},     {0xe0, 0xf6, -32},   {0xf8, 0xfe, -32},   {0x3ad, 0x3af, -37},
    {0x3b1, 0x3c1, -32}, {0x3c3, 0x3cb, -32}, {0x3ac, 0x3ac, -38}, {0x3cc, 0x3cc, -64},
    {0x3cd, 0x3ce, -63}, {0x430, 0x44f, -32}, {0x450, 0x45f, -80}, {0x561, 0x586, -48},
    {0xff, 0xff, 121},
};
// Alphabets in which capital and small letters alternate; `first` is a capital.
struct Alternating {
  char32_t first;
  char32_t last;
};
constexpr Alternating kAlternating[] = {
    {0x100, 0x12f}, {0x132, 0x137}, {0x139, 0x148}, {0x14a, 0x177},   {0x179, 0x17e},
    {0x460, 0x481}, {0x48a, 0x4bf}, {0x4d0, 0x52f}, {0x1e00, 0x1e95}, {0x1ea0, 0x1eff},
};

char32_t ToUpperRune(char32_t rune) {
  for (const CaseRange& range : kCaseRanges) {
    if (rune >= range.lower_first && rune <= range.lower_last) {
      return static_cast<char32_t>(static_cast<int>(rune) + range.delta);
    }
  }
  for (const Alternating& range : kAlternating) {
    if (rune >= range.first && rune <= range.last && (rune - range.first) % 2 == 1) return rune - 1;
  }
  return rune == 0x3c2 ? 0x3a3 : rune;  // The sigma at the end of words.
}

char32_t ToLowerRune(char32_t rune) {
  for (const CaseRange& range : kCaseRanges) {
    const auto lower = static_cast<char32_t>(static_cast<int>(rune) - range.delta);
    if (lower >= range.lower_first && lower <= range.lower_last) return lower;
  }
  for (const Alternating& range : kAlternating) {
    if (rune >= range.first && rune <= range.last && (rune - range.first) % 2 == 0) return rune + 1;
  }
  return rune;
}

template <typename Map>
std::string MapRunes(std::string_view text, Map map) {
  std::string out;
  while (!text.empty()) {
    size_t size = 0;
    AppendRune(map(DecodeRune(text, &size)), &out);
    text.remove_prefix(size);
  }
  return out;
}

bool IsLetter(char32_t rune) {
  if (rune < 0x80) return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
  return ToUpperRune(rune) != rune || ToLowerRune(rune) != rune;
}

// Characters that do not end a word between two letters: foo.bar, don't.
bool JoinsLetters(char32_t rune) {
  return rune == '\'' || rune == '.' || rune == ':' || rune == 0xb7 || rune == 0x2019;
}

// -------------------------------------------------------------------------------------------------
// Regular expressions
// -------------------------------------------------------------------------------------------------

RE2::Options QuietOptions() {
  RE2::Options options;
  options.set_log_errors(false);
  return options;
}

// Go's words for what is wrong with the pattern.
std::string PatternError(std::string_view pattern, const RE2& regex) {
  const Result<LabelRegex> compiled = LabelRegex::Compile(pattern);
  if (!compiled.ok()) return compiled.status().message();
  return "error parsing regexp: " + regex.error();
}

bool IsNamePart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Appends the replacement with $1, $name, ${name} and $$ filled in.
void Expand(std::string_view replacement, const RE2& regex,
            const std::vector<re2::StringPiece>& groups, std::string* out) {
  const std::map<std::string, int>& names = regex.NamedCapturingGroups();
  while (!replacement.empty()) {
    const size_t dollar = std::min(replacement.find('$'), replacement.size());
    out->append(replacement.substr(0, dollar));
    replacement.remove_prefix(dollar);
    if (replacement.empty()) return;
    if (replacement.starts_with("$$")) {
      out->push_back('$');
      replacement.remove_prefix(2);
      continue;
    }
    const bool braces = replacement.starts_with("${");
    const size_t begin = braces ? 2 : 1;
    size_t end = begin;
    while (end < replacement.size() && IsNamePart(replacement[end])) ++end;
    const bool closed = !braces || (end < replacement.size() && replacement[end] == '}');
    if (end == begin || !closed) {
      out->push_back('$');  // Stands for itself.
      replacement.remove_prefix(1);
      continue;
    }
    const std::string name(replacement.substr(begin, end - begin));
    replacement.remove_prefix(end + (braces ? 1 : 0));
    size_t group = groups.size();
    if (const auto number = ParseUint(name)) {
      group = static_cast<size_t>(*number);
    } else if (const auto named = names.find(name); named != names.end()) {
      group = static_cast<size_t>(named->second);
    }
    if (group < groups.size()) out->append(groups[group].data(), groups[group].size());
  }
}

}  // namespace

std::string GoToUpper(std::string_view text) {
  return MapRunes(text, ToUpperRune);
}
std::string GoToLower(std::string_view text) {
  return MapRunes(text, ToLowerRune);
}

std::string GoTitle(std::string_view text) {
  std::string out;
  bool titled = false;  // The word at hand has had its capital.
  while (!text.empty()) {
    size_t size = 0;
    const char32_t rune = DecodeRune(text, &size);
    const std::string_view rest = text.substr(size);
    size_t next_size = 0;
    const char32_t next = rest.empty() ? 0 : DecodeRune(rest, &next_size);
    if (IsLetter(rune)) {
      AppendRune(titled ? rune : ToUpperRune(rune), &out);
      titled = true;
    } else {
      out.append(text.substr(0, size));
      const bool digit = rune >= '0' && rune <= '9';
      const bool joins = JoinsLetters(rune) && (IsLetter(next) || next == '_');
      titled = titled && (digit || rune == '_' || joins);
    }
    text = rest;
  }
  return out;
}

Result<bool> GoMatchString(std::string_view pattern, std::string_view text) {
  const RE2 regex(re2::StringPiece(pattern.data(), pattern.size()), QuietOptions());
  if (!regex.ok()) {
    return MakeError(ErrorCode::kInvalidInput, "{}", PatternError(pattern, regex));
  }
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), regex);
}

Result<std::string> GoReplaceAll(std::string_view pattern, std::string_view text,
                                 std::string_view replacement) {
  const RE2 regex(re2::StringPiece(pattern.data(), pattern.size()), QuietOptions());
  if (!regex.ok()) {
    const bool plain = pattern.find('`') == std::string_view::npos && IsValidUtf8(pattern) &&
                       GoQuote(pattern).find("\\x") == std::string::npos;
    return MakeError(ErrorCode::kInvalidInput, "regexp: Compile({}): {}",
                     plain ? "`" + std::string(pattern) + "`" : GoQuote(pattern),
                     PatternError(pattern, regex));
  }
  std::vector<re2::StringPiece> groups(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
  const re2::StringPiece input(text.data(), text.size());
  std::string out;
  size_t copied = 0;
  for (size_t at = 0; at <= text.size();) {
    if (!regex.Match(input, at, text.size(), RE2::UNANCHORED, groups.data(),
                     static_cast<int>(groups.size()))) {
      break;
    }
    const size_t begin = static_cast<size_t>(groups[0].data() - text.data());
    const size_t end = begin + groups[0].size();
    out.append(text.substr(copied, begin - copied));
    // An empty match right behind another match does not count.
    if (end > copied || begin == 0) Expand(replacement, regex, groups, &out);
    copied = end;
    size_t size = 1;
    if (at < text.size()) DecodeRune(text.substr(at), &size);
    at = std::max(at + size, end);
  }
  if (copied < text.size()) out.append(text.substr(copied));
  return out;
}

// -------------------------------------------------------------------------------------------------
// Addresses
// -------------------------------------------------------------------------------------------------

std::optional<HostPort> SplitHostPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = address.substr(0, colon);
  size_t open_from = 0;
  size_t close_from = 0;
  if (address.starts_with('[')) {
    const size_t close = address.find(']');
    if (close == std::string_view::npos || close + 1 != colon) return std::nullopt;
    host = address.substr(1, close - 1);
    open_from = 1;
    close_from = close + 1;
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  if (address.find('[', open_from) != std::string_view::npos) return std::nullopt;
  if (address.find(']', close_from) != std::string_view::npos) return std::nullopt;
  return HostPort{std::string(host), std::string(address.substr(colon + 1))};
}

std::string JoinHostPort(std::string_view host, std::string_view port) {
  const bool brackets = host.find(':') != std::string_view::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", host, brackets ? "]" : "", port);
}

namespace {

bool IsIpv4(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, '.');
  if (parts.size() != 4) return false;
  for (const std::string_view part : parts) {
    if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return false;
    const auto value = ParseUint(part);
    if (!value || *value > 255) return false;
  }
  return true;
}

bool IsHexGroup(std::string_view text) {
  return !text.empty() && text.size() <= 4 &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// The number of 16-bit groups in a run without "::", -1 when it is malformed.
int CountGroups(std::string_view text, bool may_end_in_ipv4) {
  if (text.empty()) return 0;
  const std::vector<std::string_view> parts = Split(text, ':');
  int groups = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    if (last && may_end_in_ipv4 && parts[i].find('.') != std::string_view::npos) {
      if (!IsIpv4(parts[i])) return -1;
      groups += 2;
    } else if (IsHexGroup(parts[i])) {
      ++groups;
    } else {
      return -1;
    }
  }
  return groups;
}

}  // namespace

bool IsIpAddress(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return IsIpv4(text);
  if (const size_t zone = text.find('%'); zone != std::string_view::npos) {
    if (zone + 1 == text.size()) return false;
    text = text.substr(0, zone);
  }
  constexpr int kGroups = 8;
  const size_t gap = text.find("::");
  if (gap == std::string_view::npos) return CountGroups(text, true) == kGroups;
  if (text.find("::", gap + 1) != std::string_view::npos) return false;
  const int before = CountGroups(text.substr(0, gap), false);
  const int after = CountGroups(text.substr(gap + 2), true);
  return before >= 0 && after >= 0 && before + after < kGroups;
}

}  // namespace narthex::gotmpl
