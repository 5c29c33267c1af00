#include "model/relabel.h"

#include <re2/re2.h>
#include <wctype.h>

#include <clocale>
#include <map>

#include "model/go_regex.h"
#include "util/md5.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kDefaultReplacement = "$1";
constexpr std::string_view kDefaultSeparator = ";";
// Memory that RE2 may use for one expression; Go has no such bound, so it is generous.
constexpr int64_t kRegexBytesMax = 64 << 20;

struct ActionName {
  RelabelAction action;
  std::string_view name;
};
constexpr ActionName kActions[] = {
    {RelabelAction::kReplace, "replace"},     {RelabelAction::kKeep, "keep"},
    {RelabelAction::kDrop, "drop"},           {RelabelAction::kKeepEqual, "keepequal"},
    {RelabelAction::kDropEqual, "dropequal"}, {RelabelAction::kHashMod, "hashmod"},
    {RelabelAction::kLabelMap, "labelmap"},   {RelabelAction::kLabelDrop, "labeldrop"},
    {RelabelAction::kLabelKeep, "labelkeep"}, {RelabelAction::kLowercase, "lowercase"},
    {RelabelAction::kUppercase, "uppercase"},
};

bool HasVariable(std::string_view text) {
  return text.find('$') != std::string_view::npos;
}

re2::StringPiece Piece(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view View(const re2::StringPiece& piece) {
  return {piece.data(), piece.size()};
}

// Whether the text has no operator at all, so that it matches itself alone.
bool IsLiteral(std::string_view text) {
  return text.find_first_of("\\.+*?()|[]{}^$") == std::string_view::npos;
}

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The length of the variable name that `text` starts with: letters and digits of any script.
size_t VariableNameSize(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    if (IsNameByte(text[size])) {
      ++size;
      continue;
    }
    if (static_cast<uint8_t>(text[size]) < 0x80) break;
    static const RE2 wide_name("[\\p{L}\\p{Nd}]+");
    re2::StringPiece rest = Piece(text.substr(size));
    if (!RE2::Consume(&rest, wide_name)) break;
    size = text.size() - rest.size();
  }
  return size;
}

struct Variable {
  std::string_view name;
  int number = -1;      // -1: go by name.
  size_t consumed = 0;  // Bytes after the dollar; 0: this is no variable.
};

// Takes `1`, `{1}`, `name` or `{name}` apart, which stand after a dollar.
Variable ParseVariable(std::string_view text) {
  const bool braced = !text.empty() && text.front() == '{';
  const size_t start = braced ? 1 : 0;
  const size_t size = VariableNameSize(text.substr(start));
  if (size == 0) return {};
  Variable variable;
  variable.name = text.substr(start, size);
  variable.consumed = start + size;
  if (braced) {
    if (variable.consumed >= text.size() || text[variable.consumed] != '}') return {};
    ++variable.consumed;
  }
  // A number with a leading zero or beyond a hundred million is a name, as in Go.
  constexpr int kNumberMax = 100'000'000;
  int number = 0;
  for (const char c : variable.name) {
    if (c < '0' || c > '9' || number >= kNumberMax) {
      number = -1;
      break;
    }
    number = number * 10 + (c - '0');
  }
  if (variable.name.size() > 1 && variable.name.front() == '0') number = -1;
  variable.number = number;
  return variable;
}

// One rune at a time through `map`; malformed bytes become U+FFFD, as in Go.
template <typename Map>
std::string MapRunes(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t size = 1;
    const char32_t rune = DecodeRune(text, &size);
    AppendRune(map(rune), &out);
    text.remove_prefix(size);
  }
  return out;
}

// Null when the C library has no such locale; then only ASCII changes its case.
locale_t Utf8Locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

std::string UnicodeLower(std::string_view text) {
  const locale_t locale = Utf8Locale();
  if (locale == nullptr || IsAscii(text)) return ToLower(text);
  return MapRunes(text, [&](char32_t rune) {
    return static_cast<char32_t>(towlower_l(static_cast<wint_t>(rune), locale));
  });
}

std::string UnicodeUpper(std::string_view text) {
  const locale_t locale = Utf8Locale();
  if (locale == nullptr || IsAscii(text)) return ToUpper(text);
  return MapRunes(text, [&](char32_t rune) {
    return static_cast<char32_t>(towupper_l(static_cast<wint_t>(rune), locale));
  });
}

// A label name of the old alphabet that may hold variables.
bool IsLegacyTarget(std::string_view text) {
  static const RE2 pattern("^(?:(?:[a-zA-Z_]|\\$(?:\\{\\w+\\}|\\w+))+\\w*)+$");
  return RE2::FullMatch(Piece(text), pattern);
}

}  // namespace

std::string_view NameValidationName(NameValidation scheme) {
  switch (scheme) {
    case NameValidation::kLegacy: return "legacy";
    case NameValidation::kUtf8: return "utf8";
    case NameValidation::kUnset: break;
  }
  return "unset";
}

bool IsValidLabelName(NameValidation scheme, std::string_view name) {
  if (scheme == NameValidation::kLegacy) return IsLegacyLabelName(name);
  return !name.empty() && IsValidUtf8(name);
}

bool IsValidMetricName(NameValidation scheme, std::string_view name) {
  if (scheme == NameValidation::kLegacy) return IsLegacyMetricName(name);
  return !name.empty() && IsValidUtf8(name);
}

std::string_view RelabelActionName(RelabelAction action) {
  for (const ActionName& entry : kActions) {
    if (entry.action == action) return entry.name;
  }
  return "";
}

Result<RelabelAction> ParseRelabelAction(std::string_view text) {
  const std::string lower = UnicodeLower(text);
  for (const ActionName& entry : kActions) {
    if (entry.name == lower) return entry.action;
  }
  return MakeError(ErrorCode::kInvalidInput, "unknown relabel action {}", GoQuote(text));
}

// The shapes that need no automaton. In each of them but kGeneral the whole value is group 0, and
// group 1 too where `whole_group` says so.
struct RelabelRegex::Program {
  enum class Shape { kGeneral, kAnything, kSomething, kLiterals, kPrefix };

  std::string text;
  bool is_default = false;
  Shape shape = Shape::kGeneral;
  bool whole_group = false;
  std::vector<std::string> literals;  // kLiterals: all of them; kPrefix: the one prefix.
  std::unique_ptr<const RE2> regex;   // Set for kGeneral.
  std::map<int, std::string> group_names;

  void ChooseShape();
  bool Matches(std::string_view value) const;
  void Expand(std::string_view replacement, std::span<const re2::StringPiece> groups,
              std::string* out) const;
};

void RelabelRegex::Program::ChooseShape() {
  std::string_view inner = text;
  if (inner.size() >= 2 && inner.front() == '(' && inner.back() == ')') {
    const std::string_view unwrapped = inner.substr(1, inner.size() - 2);
    if (unwrapped.find_first_of("()\\[") == std::string_view::npos && !unwrapped.empty() &&
        unwrapped.front() != '?') {
      inner = unwrapped;
      whole_group = true;
    }
  }
  if (inner == ".*") {
    shape = Shape::kAnything;
  } else if (inner == ".+") {
    shape = Shape::kSomething;
  } else if (inner.size() > 2 && inner.ends_with(".*") &&
             IsLiteral(inner.substr(0, inner.size() - 2))) {
    shape = Shape::kPrefix;
    literals.emplace_back(inner.substr(0, inner.size() - 2));
  } else {
    for (const std::string_view part : Split(inner, '|')) {
      if (!IsLiteral(part)) {
        literals.clear();
        return;
      }
      literals.emplace_back(part);
    }
    shape = Shape::kLiterals;
  }
}

bool RelabelRegex::Program::Matches(std::string_view value) const {
  switch (shape) {
    case Shape::kAnything: return true;
    case Shape::kSomething: return !value.empty();
    case Shape::kPrefix: return value.starts_with(literals.front());
    case Shape::kLiterals:
      for (const std::string& literal : literals) {
        if (literal == value) return true;
      }
      return false;
    case Shape::kGeneral: break;
  }
  return regex->Match(Piece(value), 0, value.size(), RE2::ANCHOR_BOTH, nullptr, 0);
}

void RelabelRegex::Program::Expand(std::string_view replacement,
                                   std::span<const re2::StringPiece> groups,
                                   std::string* out) const {
  while (true) {
    const size_t dollar = replacement.find('$');
    out->append(replacement.substr(0, dollar));
    if (dollar == std::string_view::npos) return;
    replacement.remove_prefix(dollar + 1);
    if (replacement.starts_with('$')) {
      out->push_back('$');
      replacement.remove_prefix(1);
      continue;
    }
    const Variable variable = ParseVariable(replacement);
    if (variable.consumed == 0) {
      out->push_back('$');
      continue;
    }
    replacement.remove_prefix(variable.consumed);
    if (variable.number >= 0) {
      const auto number = static_cast<size_t>(variable.number);
      if (number < groups.size()) out->append(View(groups[number]));
      continue;
    }
    // Several groups may share a name; the first that took part in the match counts.
    for (const auto& [number, name] : group_names) {
      const re2::StringPiece& group = groups[static_cast<size_t>(number)];
      if (name == variable.name && group.data() != nullptr) {
        out->append(View(group));
        break;
      }
    }
  }
}

RelabelRegex::RelabelRegex() {
  static const std::shared_ptr<const Program> default_program = [] {
    auto program = std::make_shared<Program>();
    program->text = "(.*)";
    program->is_default = true;
    program->ChooseShape();
    return program;
  }();
  program_ = default_program;
}

Result<RelabelRegex> RelabelRegex::Compile(std::string_view text) {
  const std::string anchored = "^(?s:" + std::string(text) + ")$";
  NARTHEX_TRY(std::unique_ptr<const RE2> regex, CompileGoRegex(anchored, kRegexBytesMax));
  auto program = std::make_shared<Program>();
  program->text = text;
  program->ChooseShape();
  if (program->shape == Program::Shape::kGeneral) {
    program->whole_group = false;
    program->group_names = regex->CapturingGroupNames();
    program->regex = std::move(regex);
  }
  return RelabelRegex(std::move(program));
}

bool RelabelRegex::is_default() const {
  return program_->is_default;
}
const std::string& RelabelRegex::text() const {
  return program_->text;
}
bool RelabelRegex::Matches(std::string_view value) const {
  return program_->Matches(value);
}

bool RelabelRegex::ExpandMatch(std::string_view value, std::string_view replacement,
                               std::string* out) const {
  return ExpandMatch(value, replacement, out, {}, nullptr);
}

bool RelabelRegex::ExpandMatch(std::string_view value, std::string_view first,
                               std::string* first_out, std::string_view second,
                               std::string* second_out) const {
  constexpr size_t kGroupsInline = 10;
  re2::StringPiece inline_groups[kGroupsInline];
  std::vector<re2::StringPiece> more_groups;
  std::span<re2::StringPiece> groups;
  if (program_->regex == nullptr) {
    if (!program_->Matches(value)) return false;
    inline_groups[0] = inline_groups[1] = Piece(value);
    groups = std::span(inline_groups, program_->whole_group ? 2 : 1);
  } else {
    const auto count = static_cast<size_t>(program_->regex->NumberOfCapturingGroups()) + 1;
    if (count <= kGroupsInline) {
      groups = std::span(inline_groups, count);
    } else {
      more_groups.resize(count);
      groups = more_groups;
    }
    if (!program_->regex->Match(Piece(value), 0, value.size(), RE2::ANCHOR_BOTH, groups.data(),
                                static_cast<int>(count))) {
      return false;
    }
  }
  program_->Expand(first, groups, first_out);
  if (second_out != nullptr) program_->Expand(second, groups, second_out);
  return true;
}

Status RelabelConfig::Validate(NameValidation scheme) {
  const std::string_view name = RelabelActionName(action);
  const auto error = [](std::string text) {
    return Status(ErrorCode::kInvalidInput, std::move(text));
  };
  const bool changes_case =
      action == RelabelAction::kLowercase || action == RelabelAction::kUppercase;
  const bool compares = action == RelabelAction::kKeepEqual || action == RelabelAction::kDropEqual;
  const bool filters_names =
      action == RelabelAction::kLabelDrop || action == RelabelAction::kLabelKeep;

  if (action == RelabelAction::kUnset) return error("relabel action cannot be empty");
  if (modulus == 0 && action == RelabelAction::kHashMod) {
    return error("relabel configuration for hashmod requires non-zero modulus");
  }
  if ((action == RelabelAction::kReplace || action == RelabelAction::kHashMod || changes_case ||
       compares) &&
      target_label.empty()) {
    return error(
        fmt::format("relabel configuration for {} action requires 'target_label' value", name));
  }
  if (name_validation == NameValidation::kUnset) name_validation = scheme;

  const auto valid_name = [&](std::string_view text) {
    return IsValidLabelName(name_validation, text);
  };
  // UTF-8 names may hold dollars and braces anyway.
  const auto valid_template = [&](std::string_view text) {
    return name_validation == NameValidation::kLegacy ? IsLegacyTarget(text) : valid_name(text);
  };
  const auto bad_target = [&] {
    return error(
        fmt::format("{} is invalid 'target_label' for {} action", GoQuote(target_label), name));
  };
  if (action == RelabelAction::kReplace) {
    const bool valid =
        HasVariable(target_label) ? valid_template(target_label) : valid_name(target_label);
    if (!valid) return bad_target();
  }
  if ((changes_case || compares) && !valid_name(target_label)) return bad_target();
  if ((changes_case || compares) && replacement != kDefaultReplacement) {
    return error(fmt::format("'replacement' can not be set for {} action", name));
  }
  if (action == RelabelAction::kLabelMap && !valid_template(replacement)) {
    return error(
        fmt::format("{} is invalid 'replacement' for {} action", GoQuote(replacement), name));
  }
  if (action == RelabelAction::kHashMod && !valid_name(target_label)) return bad_target();

  if (compares && (!regex.is_default() || modulus != 0 || separator != kDefaultSeparator ||
                   replacement != kDefaultReplacement)) {
    return error(fmt::format(
        "{} action requires only 'source_labels' and `target_label`, and no other fields", name));
  }
  if (filters_names &&
      (has_source_labels || !source_labels.empty() || !target_label.empty() || modulus != 0 ||
       separator != kDefaultSeparator || replacement != kDefaultReplacement)) {
    return error(fmt::format("{} action requires only 'regex', and no other fields", name));
  }
  return {};
}

namespace {

// Buffers that live as long as one pass over the rules.
struct Scratch {
  std::string joined;
  std::string target;
  std::string replacement;
};

// The joined source values; a view into `labels` when there is just one.
std::string_view JoinSources(const RelabelConfig& rule, const LabelsBuilder& labels,
                             Scratch& scratch) {
  if (rule.source_labels.size() == 1) return labels.Get(rule.source_labels.front());
  scratch.joined.clear();
  for (size_t i = 0; i < rule.source_labels.size(); ++i) {
    if (i > 0) scratch.joined += rule.separator;
    scratch.joined += labels.Get(rule.source_labels[i]);
  }
  return scratch.joined;
}

void Replace(const RelabelConfig& rule, std::string_view value, LabelsBuilder& labels,
             Scratch& scratch) {
  const bool fixed_target = !HasVariable(rule.target_label);
  const bool fixed_replacement = !HasVariable(rule.replacement);
  if (value.empty() && rule.regex.is_default() && fixed_target && fixed_replacement) {
    labels.Set(rule.target_label, rule.replacement);
    return;
  }
  if (fixed_target && fixed_replacement) {
    if (!rule.regex.Matches(value)) return;
    if (!IsValidLabelName(rule.name_validation, rule.target_label)) return;
    labels.Set(rule.target_label, rule.replacement);
    return;
  }
  scratch.target.clear();
  scratch.replacement.clear();
  if (!rule.regex.ExpandMatch(value, rule.target_label, &scratch.target, rule.replacement,
                              &scratch.replacement)) {
    return;
  }
  if (!IsValidLabelName(rule.name_validation, scratch.target)) return;
  labels.Set(scratch.target, scratch.replacement);
}

void MapNames(const RelabelConfig& rule, LabelsBuilder& labels) {
  std::vector<std::pair<std::string, std::string>> mapped;
  labels.ForEach([&](std::string_view name, std::string_view value) {
    std::string target;
    if (rule.regex.ExpandMatch(name, rule.replacement, &target)) {
      mapped.emplace_back(std::move(target), value);
    }
  });
  for (const auto& [name, value] : mapped) labels.Set(name, value);
}

void FilterNames(const RelabelConfig& rule, bool keep_matching, LabelsBuilder& labels) {
  std::vector<std::string> dropped;
  labels.ForEach([&](std::string_view name, std::string_view) {
    if (rule.regex.Matches(name) != keep_matching) dropped.emplace_back(name);
  });
  for (const std::string& name : dropped) labels.Delete(name);
}

// Upstream takes the last eight bytes of the digest, as it always has.
uint64_t HashModulus(std::string_view value, uint64_t modulus) {
  const auto digest = Md5(value);
  uint64_t hash = 0;
  for (size_t i = 8; i < 16; ++i) hash = hash << 8 | digest[i];
  return hash % modulus;
}

// False: drop.
bool Apply(const RelabelConfig& rule, LabelsBuilder& labels, Scratch& scratch) {
  switch (rule.action) {
    case RelabelAction::kLabelMap: MapNames(rule, labels); return true;
    case RelabelAction::kLabelDrop: FilterNames(rule, false, labels); return true;
    case RelabelAction::kLabelKeep: FilterNames(rule, true, labels); return true;
    default: break;
  }
  const std::string_view value = JoinSources(rule, labels, scratch);
  switch (rule.action) {
    case RelabelAction::kKeep: return rule.regex.Matches(value);
    case RelabelAction::kDrop: return !rule.regex.Matches(value);
    case RelabelAction::kKeepEqual: return labels.Get(rule.target_label) == value;
    case RelabelAction::kDropEqual: return labels.Get(rule.target_label) != value;
    case RelabelAction::kReplace: Replace(rule, value, labels, scratch); return true;
    case RelabelAction::kHashMod:
      labels.Set(rule.target_label, fmt::format("{}", HashModulus(value, rule.modulus)));
      return true;
    case RelabelAction::kLowercase: labels.Set(rule.target_label, UnicodeLower(value)); return true;
    case RelabelAction::kUppercase: labels.Set(rule.target_label, UnicodeUpper(value)); return true;
    default: return true;
  }
}

}  // namespace

bool Relabel(LabelsBuilder& labels, std::span<const RelabelConfig> rules) {
  Scratch scratch;
  for (const RelabelConfig& rule : rules) {
    if (!Apply(rule, labels, scratch)) return false;
  }
  return true;
}

Labels Relabel(const Labels& labels, std::span<const RelabelConfig> rules, bool* dropped) {
  LabelsBuilder builder(labels);
  *dropped = !Relabel(builder, rules);
  return *dropped ? Labels() : builder.Build();
}

}  // namespace narthex
