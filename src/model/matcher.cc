#include "model/matcher.h"

#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "model/regex_shape.h"
#include "util/hash_map.h"
#include "util/strings.h"

namespace narthex {
namespace {

// Larger programs than RE2's default allow, since lists of thousands of names are usual.
constexpr int64_t kRegexBytesMax = 64 << 20;
// Up to this many values are compared one after another; a hash costs more.
constexpr size_t kLinearSetMax = 4;

std::string_view GoErrorText(RE2::ErrorCode code) {
  switch (code) {
    case RE2::ErrorBadEscape: return "invalid escape sequence";
    case RE2::ErrorBadCharClass: return "invalid character class";
    case RE2::ErrorBadCharRange: return "invalid character class range";
    case RE2::ErrorMissingBracket: return "missing closing ]";
    case RE2::ErrorMissingParen: return "missing closing )";
    case RE2::ErrorUnexpectedParen: return "unexpected )";
    case RE2::ErrorTrailingBackslash: return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument: return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize: return "invalid repeat count";
    case RE2::ErrorRepeatOp: return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp: return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8: return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture: return "invalid named capture";
    case RE2::ErrorPatternTooLarge: return "expression too large";
    default: return "regexp/syntax: internal error";
  }
}

Status RegexError(std::string_view text, std::string_view part) {
  return MakeError(ErrorCode::kInvalidInput, "error parsing regexp: {}: `{}`", text, part);
}

// Go's syntax is RE2's but for two things: (?<name>…) is a named group as well, and \C, a single
// byte, does not exist.
Result<std::string> ToRe2Syntax(std::string_view pattern) {
  std::string out;
  out.reserve(pattern.size());
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    out.push_back(c);
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 'C') return RegexError("invalid escape sequence", "\\C");
      out.push_back(escaped);
      if (escaped == 'Q' && !in_class) {
        const size_t end = std::min(pattern.find("\\E", i), pattern.size());
        out.append(pattern.substr(i + 1, end - i - 1));
        i = end - 1;
      }
    } else if (in_class) {
      if (pattern.substr(i).starts_with("[:")) {
        const size_t end = pattern.find(":]", i);
        if (end != std::string_view::npos) {
          out.append(pattern.substr(i + 1, end + 1 - i));
          i = end + 1;
        }
      } else if (c == ']') {
        in_class = false;
      }
    } else if (c == '[') {
      in_class = true;
      // A bracket in first place is a character, also after the negation.
      if (pattern.substr(i + 1).starts_with('^')) out.push_back(pattern[++i]);
      if (pattern.substr(i + 1).starts_with(']')) out.push_back(pattern[++i]);
    } else if (pattern.substr(i).starts_with("(?<")) {
      out.append("?P");
      ++i;
    }
  }
  return out;
}

Status ConvertRegexError(const RE2& regex, std::string_view pattern) {
  std::string part = regex.error_arg();
  switch (regex.error_code()) {
    case RE2::ErrorTrailingBackslash: part.clear(); break;
    case RE2::ErrorMissingParen:
      // An unfinished (?flags is a matter of Perl syntax to Go.
      if (part.starts_with("(?") && part != pattern) {
        return RegexError(GoErrorText(RE2::ErrorBadPerlOp), part);
      }
      part = pattern;
      break;
    case RE2::ErrorPatternTooLarge:
    case RE2::ErrorUnexpectedParen: part = pattern; break;
    default: break;
  }
  return RegexError(GoErrorText(regex.error_code()), part);
}

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
    if (!IsValidUtf8(pattern)) return RegexError(GoErrorText(RE2::ErrorBadUTF8), pattern);
    std::vector<std::string> names;
    for (const std::string_view name : Split(pattern, '|')) names.emplace_back(name);
    program->SetValues(std::move(names));
    program->prefix = AnalyzeRegex(pattern).prefix;
    result.program_ = std::move(program);
    return result;
  }

  NARTHEX_TRY(const std::string syntax, ToRe2Syntax(pattern));
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(kRegexBytesMax);
  auto regex = std::make_unique<const RE2>(syntax, options);
  if (!regex->ok()) return ConvertRegexError(*regex, pattern);

  RegexShape shape = AnalyzeRegex(syntax);
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
