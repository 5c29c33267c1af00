#include "model/go_regex.h"

#include <re2/re2.h>

#include <string>

namespace narthex {

namespace {

Status ParseError(std::string_view what, std::string_view where) {
  return MakeError(ErrorCode::kInvalidInput, "error parsing regexp: {}: `{}`", what, where);
}

std::string_view GoErrorName(RE2::ErrorCode code) {
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

// How many bytes at the front of `text`, which stands inside brackets if `in_class`, mean nothing
// to this translation beyond themselves: escapes, quoted stretches, named classes.
size_t OpaqueSize(std::string_view text, bool in_class) {
  if (text.starts_with("\\Q") && !in_class) {
    const size_t end = text.find("\\E");
    return end == std::string_view::npos ? text.size() : end + 2;
  }
  if (text.front() == '\\') return std::min<size_t>(2, text.size());
  if (in_class && text.starts_with("[:")) {
    const size_t end = text.find(":]");
    if (end != std::string_view::npos) return end + 2;
  }
  return 0;
}

// A bracket that opens a class takes with it what would look like its end: "[]a]", "[^]a]".
size_t ClassStartSize(std::string_view text) {
  size_t size = 1;
  if (text.substr(size).starts_with('^')) ++size;
  if (text.substr(size).starts_with(']')) ++size;
  return size;
}

Result<std::string> ToRe2Syntax(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  while (!pattern.empty()) {
    if (pattern.starts_with("\\C")) return ParseError("invalid escape sequence", "\\C");
    size_t take = OpaqueSize(pattern, in_class);
    if (take == 0) {
      take = 1;
      if (!in_class && pattern.front() == '[') {
        take = ClassStartSize(pattern);
        in_class = true;
      } else if (in_class && pattern.front() == ']') {
        in_class = false;
      } else if (!in_class && pattern.starts_with("(?<")) {
        out += "(?P";
        pattern.remove_prefix(2);
        continue;
      }
    }
    out += pattern.substr(0, take);
    pattern.remove_prefix(take);
  }
  return out;
}

Status ConvertError(const RE2& regex, std::string_view pattern) {
  std::string part = regex.error_arg();
  // As it was written, not as it was translated.
  if (part.starts_with("(?P<") && pattern.find(part) == pattern.npos) part.erase(2, 1);
  switch (regex.error_code()) {
    case RE2::ErrorTrailingBackslash: part.clear(); break;
    case RE2::ErrorMissingParen:
      // An unfinished (?flags is a matter of Perl syntax to Go.
      if (part.starts_with("(?") && part != regex.pattern()) {
        return ParseError(GoErrorName(RE2::ErrorBadPerlOp), part);
      }
      part = pattern;
      break;
    // Go names the whole expression where it is the whole that is at fault.
    case RE2::ErrorPatternTooLarge:
    case RE2::ErrorUnexpectedParen: part = pattern; break;
    default: break;
  }
  return ParseError(GoErrorName(regex.error_code()), part);
}

}  // namespace

Result<std::unique_ptr<const RE2>> CompileGoRegex(std::string_view pattern, int64_t bytes_max,
                                                  GoRegexDot dot) {
  NARTHEX_TRY(const std::string translated, ToRe2Syntax(pattern));
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(bytes_max);
  options.set_dot_nl(dot == GoRegexDot::kAnything);
  auto regex = std::make_unique<const RE2>(translated, options);
  if (regex->ok()) return regex;
  return ConvertError(*regex, pattern);
}

Status InvalidUtf8Regex(std::string_view pattern) {
  return ParseError(GoErrorName(RE2::ErrorBadUTF8), pattern);
}

}  // namespace narthex
