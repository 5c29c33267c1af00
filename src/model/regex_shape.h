// What an anchored regular expression looks like, as far as it can be compared instead of run.
//
// Label matchers are mostly lists of names, prefixes and `.*x.*`. AnalyzeRegex reads the syntax of
// an expression that RE2 has accepted already and finds
//   - the finite set of values it stands for, when there is one of at most kRegexSetMax;
//   - a list of globs (literals and gaps) of which one must match, when it is such a list;
//   - otherwise what every match starts and ends with, to refuse most values without RE2.
// Anything it does not know counts as opaque, which is always right and only slower.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace narthex {

// Upstream's bound on the size of a set; larger ones are left to RE2.
inline constexpr size_t kRegexSetMax = 256;

// A literal, or a gap of at least `runes_min` arbitrary characters.
struct GlobPiece {
  bool gap = false;
  uint32_t runes_min = 0;
  std::string text;
};
using Glob = std::vector<GlobPiece>;

bool GlobMatches(const Glob& glob, std::string_view value);

struct RegexShape {
  // The values of the expression, sorted and unique, when they are finite.
  std::optional<std::vector<std::string>> values;
  // Not empty: the expression is exactly the union of these.
  std::vector<Glob> globs;
  // Every match starts with `prefix` and ends with `suffix`.
  std::string prefix;
  std::string suffix;
};

RegexShape AnalyzeRegex(std::string_view pattern);

}  // namespace narthex
