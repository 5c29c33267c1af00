#include "model/matcher.h"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "model/go_regex.h"
#include "model/regex_shape.h"
#include "util/hash_map.h"
#include "util/strings.h"

namespace narthex {
namespace {

// Larger programs than RE2's default allow, since lists of thousands of names are usual.
constexpr int64_t kRegexBytesMax = 64 << 20;
// Up to this many values are compared one after another; a hash costs more.
constexpr size_t kLinearSetMax = 4;

}  // namespace

struct LabelRegex::Program {
  std::string pattern;
  // Set when the expression is finite: `values` sorted, and hashed when there are many.
  bool finite = false;
  std::vector<std::string> values;
  StringSet value_set;
  std::vector<Glob> globs;
  std::string prefix;
  std::string suffix;
  std::unique_ptr<const RE2> regex;  // Null where one of the above decides alone.

  void SetValues(std::vector<std::string> list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    finite = true;
    values = std::move(list);
    if (values.size() > kLinearSetMax) value_set = StringSet(values.begin(), values.end());
  }

  bool Matches(std::string_view value) const {
    if (finite) {
      if (!value_set.empty()) return value_set.contains(value);
      return std::find(values.begin(), values.end(), value) != values.end();
    }
    if (!globs.empty()) {
      return std::any_of(globs.begin(), globs.end(),
                         [value](const Glob& glob) { return GlobMatches(glob, value); });
    }
    if (!value.starts_with(prefix) || !value.ends_with(suffix)) return false;
    return regex->Match(re2::StringPiece(value.data(), value.size()), 0, value.size(),
                        RE2::ANCHOR_BOTH, nullptr, 0);
  }
};

Result<LabelRegex> LabelRegex::Compile(std::string_view pattern) {
  auto program = std::make_shared<Program>();
  program->pattern = pattern;
  LabelRegex result;

  // Lists of plain names need no parser, and may be longer than the sets found by one.
  if (pattern.find_first_of("\\.+*?()[]{}^$") == std::string_view::npos) {
    if (!IsValidUtf8(pattern)) return InvalidUtf8Regex(pattern);
    std::vector<std::string> names;
    for (const std::string_view name : Split(pattern, '|')) names.emplace_back(name);
    program->SetValues(std::move(names));
    program->prefix = AnalyzeRegex(pattern).prefix;
    result.program_ = std::move(program);
    return result;
  }

  NARTHEX_TRY(std::unique_ptr<const RE2> regex,
              CompileGoRegex(pattern, kRegexBytesMax, GoRegexDot::kAnything));

  RegexShape shape = AnalyzeRegex(regex->pattern());
  program->prefix = std::move(shape.prefix);
  program->suffix = std::move(shape.suffix);
  if (shape.values) {
    program->SetValues(*std::move(shape.values));
  } else if (!shape.globs.empty()) {
    program->globs = std::move(shape.globs);
  } else {
    program->regex = std::move(regex);
  }
  result.program_ = std::move(program);
  return result;
}

bool LabelRegex::Matches(std::string_view value) const {
  return program_->Matches(value);
}

const std::vector<std::string>& LabelRegex::literal_values() const {
  return program_->values;
}

std::string_view LabelRegex::literal_prefix() const {
  return program_->prefix;
}

std::string_view LabelRegex::pattern() const {
  return program_->pattern;
}

std::string_view MatchTypeName(MatchType type) {
  switch (type) {
    case MatchType::kEqual: return "=";
    case MatchType::kNotEqual: return "!=";
    case MatchType::kRegexp: return "=~";
    case MatchType::kNotRegexp: return "!~";
  }
  return "=";
}

Result<Matcher> Matcher::Create(MatchType type, std::string_view name, std::string_view value) {
  Matcher matcher;
  matcher.type_ = type;
  matcher.name_ = name;
  matcher.value_ = value;
  if (type == MatchType::kRegexp || type == MatchType::kNotRegexp) {
    NARTHEX_TRY(LabelRegex regex, LabelRegex::Compile(value));
    matcher.regex_ = std::make_shared<const LabelRegex>(std::move(regex));
  }
  return matcher;
}

Matcher Matcher::Equal(std::string_view name, std::string_view value) {
  return *Create(MatchType::kEqual, name, value);
}

Matcher Matcher::NotEqual(std::string_view name, std::string_view value) {
  return *Create(MatchType::kNotEqual, name, value);
}

bool Matcher::Matches(std::string_view value) const {
  switch (type_) {
    case MatchType::kEqual: return value == value_;
    case MatchType::kNotEqual: return value != value_;
    case MatchType::kRegexp: return regex_->Matches(value);
    case MatchType::kNotRegexp: return !regex_->Matches(value);
  }
  return false;
}

std::string Matcher::ToString() const {
  std::string out = IsLegacyLabelName(name_) ? name_ : GoQuote(name_);
  out.append(MatchTypeName(type_)).append(GoQuote(value_));
  return out;
}

}  // namespace narthex
