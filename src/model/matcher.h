// Matchers: one condition on one label, the unit of selection.
//
// A missing label counts as "". Regular expressions are RE2, anchored on both sides, and `.`
// matches a newline. Copies share the compiled expression; matching is safe from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex {

// An anchored regular expression with the shortcuts that label matching lives on: literals,
// alternations of literals, prefixes, suffixes and substrings are compared, not run.
class LabelRegex {
 public:
  // Errors in Go's words: `error parsing regexp: missing closing ): `(``.
  static Result<LabelRegex> Compile(std::string_view pattern);

  bool Matches(std::string_view value) const;
  // When the expression is a finite set of literal values: those values. Otherwise empty.
  const std::vector<std::string>& literal_values() const;
  // Every matching value starts with this (may be empty).
  std::string_view literal_prefix() const;
  std::string_view pattern() const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

enum class MatchType : uint8_t { kEqual, kNotEqual, kRegexp, kNotRegexp };
// "=", "!=", "=~", "!~".
std::string_view MatchTypeName(MatchType type);

class Matcher {
 public:
  // Fails only for regular expressions.
  static Result<Matcher> Create(MatchType type, std::string_view name, std::string_view value);
  // For kEqual and kNotEqual, which cannot fail.
  static Matcher Equal(std::string_view name, std::string_view value);
  static Matcher NotEqual(std::string_view name, std::string_view value);

  MatchType type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  // Set for the two regexp types.
  const LabelRegex* regex() const { return regex_.get(); }

  bool Matches(std::string_view value) const;
  // Whether a series without the label satisfies the matcher.
  bool matches_empty() const { return Matches({}); }
  // name="value"; names that are not legacy label names are quoted.
  std::string ToString() const;

  friend bool operator==(const Matcher& a, const Matcher& b) {
    return a.type_ == b.type_ && a.name_ == b.name_ && a.value_ == b.value_;
  }

 private:
  MatchType type_ = MatchType::kEqual;
  std::string name_;
  std::string value_;
  std::shared_ptr<const LabelRegex> regex_;
};

}  // namespace narthex
