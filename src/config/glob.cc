// filepath.Glob: `*`, `?`, `[a-z]`, `[^a-z]` and `\x` within the parts of a path.
#include <algorithm>
#include <optional>

#include "config/config.h"
#include "util/strings.h"

namespace narthex {

namespace {

bool HasMeta(std::string_view text) {
  return text.find_first_of("*?[\\") != std::string_view::npos;
}

// One character of a class, which may be escaped. Nothing: the pattern is malformed.
std::optional<char32_t> TakeClassRune(std::string_view* pattern) {
  if (pattern->empty() || pattern->front() == '-' || pattern->front() == ']') return std::nullopt;
  if (pattern->front() == '\\') pattern->remove_prefix(1);
  if (pattern->empty()) return std::nullopt;
  size_t size = 1;
  const char32_t rune = DecodeRune(*pattern, &size);
  pattern->remove_prefix(size);
  if (pattern->empty()) return std::nullopt;
  return rune;
}

// Matches a class, whose `[` has been taken. Nothing: malformed.
std::optional<bool> MatchClass(std::string_view* pattern, char32_t rune) {
  const bool negated = pattern->starts_with('^');
  if (negated) pattern->remove_prefix(1);
  bool matched = false;
  for (int ranges = 0;; ++ranges) {
    if (pattern->starts_with(']') && ranges > 0) {
      pattern->remove_prefix(1);
      return matched != negated;
    }
    const auto low = TakeClassRune(pattern);
    if (!low) return std::nullopt;
    char32_t high = *low;
    if (pattern->starts_with('-')) {
      pattern->remove_prefix(1);
      const auto end = TakeClassRune(pattern);
      if (!end) return std::nullopt;
      high = *end;
    }
    matched = matched || (*low <= rune && rune <= high);
  }
}

// Nothing: malformed. Recursion is as deep as there are stars.
std::optional<bool> MatchName(std::string_view pattern, std::string_view name) {
  while (!pattern.empty()) {
    if (pattern.front() == '*') {
      while (pattern.starts_with('*')) pattern.remove_prefix(1);
      for (size_t skip = 0; skip <= name.size(); ++skip) {
        const auto matched = MatchName(pattern, name.substr(skip));
        if (!matched || *matched) return matched;
      }
      return false;
    }
    size_t size = 1;
    const char32_t rune = name.empty() ? 0 : DecodeRune(name, &size);
    if (pattern.front() == '[') {
      pattern.remove_prefix(1);
      const auto matched = MatchClass(&pattern, rune);
      if (!matched) return std::nullopt;
      if (name.empty() || !*matched) return false;
    } else if (pattern.front() == '?') {
      if (name.empty()) return false;
      pattern.remove_prefix(1);
    } else {
      if (pattern.front() == '\\') {
        pattern.remove_prefix(1);
        if (pattern.empty()) return std::nullopt;
      }
      size = 1;
      if (name.empty() || pattern.front() != name.front()) return false;
      pattern.remove_prefix(1);
    }
    name.remove_prefix(size);
  }
  return name.empty();
}

std::string JoinGlob(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

}  // namespace

Result<std::vector<std::string>> GlobFiles(const std::string& pattern, FileSystem& files) {
  const Status malformed(ErrorCode::kInvalidInput, "syntax error in pattern");
  if (!MatchName(pattern, "")) return malformed;
  if (!HasMeta(pattern)) {
    if (!files.Exists(pattern)) return std::vector<std::string>();
    return std::vector<std::string>{pattern};
  }
  const size_t slash = pattern.rfind('/');
  const std::string last = slash == std::string::npos ? pattern : pattern.substr(slash + 1);
  std::vector<std::string> directories{""};
  if (slash != std::string::npos) {
    const std::string parent = slash == 0 ? "/" : pattern.substr(0, slash);
    directories = {parent};
    if (HasMeta(parent)) {
      NARTHEX_TRY(directories, GlobFiles(parent, files));
    }
  }
  std::vector<std::string> found;
  for (const std::string& directory : directories) {
    const auto entries = files.List(directory.empty() ? "." : directory);
    if (!entries.ok()) continue;  // A folder that cannot be read holds nothing.
    for (const FileInfo& entry : *entries) {
      const auto matched = MatchName(last, entry.name);
      if (!matched) return malformed;
      if (*matched) found.push_back(JoinGlob(directory, entry.name));
    }
  }
  return found;
}

}  // namespace narthex
