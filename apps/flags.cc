#include "apps/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "config/values.h"
#include "util/file.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr size_t kHelpColumn = 30;

Status Malformed(std::string_view text, std::string_view what) {
  return MakeError(ErrorCode::kInvalidInput, "{}: parsing {}: invalid syntax", what, GoQuote(text));
}

// Lines of at most `width` characters.
std::vector<std::string> Wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines(1);
  for (const std::string_view word : Split(text, ' ')) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width)
      lines.emplace_back();
    if (!lines.back().empty()) lines.back().push_back(' ');
    lines.back().append(word);
  }
  return lines;
}

}  // namespace

FlagSet::Flag& FlagSet::Add(std::string name, std::string help, std::string placeholder,
                            std::function<Status(std::string_view)> set,
                            std::function<std::string()> print) {
  auto flag = std::make_unique<Flag>();
  flag->name = std::move(name);
  flag->help = std::move(help);
  flag->placeholder = std::move(placeholder);
  flag->set = std::move(set);
  flag->print = std::move(print);
  flags_.push_back(std::move(flag));
  return *flags_.back();
}

FlagSet::Flag& FlagSet::Bool(std::string name, bool* target, std::string help) {
  return Add(
      std::move(name), std::move(help), "",
      [target](std::string_view text) {
        *target = text == "true";
        return Status();
      },
      [target] { return *target ? "true" : "false"; });
}

FlagSet::Flag& FlagSet::String(std::string name, std::string* target, std::string help) {
  return Add(
      std::move(name), std::move(help), GoQuote(*target),
      [target](std::string_view text) {
        *target = text;
        return Status();
      },
      [target] { return *target; });
}

FlagSet::Flag& FlagSet::Strings(std::string name, std::vector<std::string>* target,
                                std::string help) {
  auto first = std::make_shared<bool>(true);
  Flag& flag = Add(
      std::move(name), std::move(help), target->empty() ? "..." : target->front() + " ...",
      [target, first](std::string_view text) {
        if (*first) target->clear();
        *first = false;
        target->emplace_back(text);
        return Status();
      },
      [target] { return Join(*target, ","); });
  flag.repeatable = true;
  return flag;
}

FlagSet::Flag& FlagSet::Int(std::string name, int64_t* target, std::string help) {
  return Add(
      std::move(name), std::move(help), fmt::format("{}", *target),
      [target](std::string_view text) -> Status {
        std::optional<int64_t> value = ParseInt(text);
        // "5e7" is accepted where it is a whole number.
        if (!value) {
          const std::optional<double> real = ParseFloat(text);
          if (real && *real == static_cast<double>(static_cast<int64_t>(*real))) {
            value = static_cast<int64_t>(*real);
          }
        }
        if (!value) return Malformed(text, "strconv.ParseFloat");
        *target = *value;
        return {};
      },
      [target] { return fmt::format("{}", *target); });
}

FlagSet::Flag& FlagSet::Float(std::string name, double* target, std::string help) {
  return Add(
      std::move(name), std::move(help), FormatFloatG(*target),
      [target](std::string_view text) -> Status {
        const std::optional<double> value = ParseFloat(text);
        if (!value) return Malformed(text, "strconv.ParseFloat");
        *target = *value;
        return {};
      },
      [target] { return FormatFloatG(*target); });
}

FlagSet::Flag& FlagSet::Duration(std::string name, int64_t* target, std::string help) {
  return Add(
      std::move(name), std::move(help), FormatDuration(*target),
      [target](std::string_view text) -> Status {
        NARTHEX_TRY(*target, ParseDuration(text));
        return {};
      },
      [target] { return FormatDuration(*target); });
}

FlagSet::Flag& FlagSet::GoDuration(std::string name, int64_t* target, std::string help) {
  return Add(
      std::move(name), std::move(help), FormatGoDuration(*target),
      [target](std::string_view text) -> Status {
        NARTHEX_TRY(*target, ParseGoDuration(text));
        return {};
      },
      [target] { return FormatGoDuration(*target); });
}

FlagSet::Flag& FlagSet::Bytes(std::string name, int64_t* target, std::string help) {
  return Add(
      std::move(name), std::move(help), ByteSize{*target}.ToString(),
      [target](std::string_view text) -> Status {
        NARTHEX_TRY(const ByteSize size, ByteSize::Parse(text));
        *target = size.bytes;
        return {};
      },
      [target] { return ByteSize{*target}.ToString(); });
}

FlagSet::Flag& FlagSet::Enum(std::string name, std::string* target,
                             std::vector<std::string> choices, std::string help) {
  Flag& flag = Add(
      std::move(name), std::move(help), *target,
      [target, choices](std::string_view text) -> Status {
        if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
          return MakeError(ErrorCode::kInvalidInput, "enum value must be one of {}, got '{}'",
                           Join(choices, ","), text);
        }
        *target = text;
        return {};
      },
      [target] { return *target; });
  flag.choices = std::move(choices);
  return flag;
}

FlagSet::Flag* FlagSet::Find(std::string_view name) {
  for (const auto& flag : flags_) {
    if (flag->name == name) return flag.get();
  }
  return nullptr;
}

bool FlagSet::seen(std::string_view name) const {
  return std::any_of(flags_.begin(), flags_.end(),
                     [&](const auto& flag) { return flag->name == name && flag->seen; });
}

Status FlagSet::Parse(const std::vector<std::string>& raw) {
  // @file stands for the file's lines.
  std::vector<std::string> words;
  for (const std::string& word : raw) {
    if (!word.starts_with('@') || word.size() == 1) {
      words.push_back(word);
      continue;
    }
    NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(word.substr(1)));
    for (const std::string_view line : Split(text, '\n')) {
      if (!line.empty() && !line.starts_with('#')) words.emplace_back(line);
    }
  }
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      arguments_.insert(arguments_.end(), words.begin() + static_cast<ptrdiff_t>(i) + 1,
                        words.end());
      return {};
    }
    if (word == "-h" || word == "--help" || word == "--help-long" || word == "--help-man") {
      help_ = true;
      continue;
    }
    if (word == "--version") {
      version_ = true;
      continue;
    }
    if (!word.starts_with("--")) {
      if (word.starts_with('-') && word.size() > 1 && arguments_name_.empty()) {
        return MakeError(ErrorCode::kInvalidInput, "unknown short flag '{}'", word);
      }
      if (arguments_name_.empty()) {
        return MakeError(ErrorCode::kInvalidInput, "unexpected {}", word);
      }
      arguments_.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    bool negated = false;
    Flag* flag = Find(name);
    if (flag == nullptr && name.starts_with("no-")) {
      flag = Find(name.substr(3));
      negated = flag != nullptr && flag->placeholder.empty();
      if (!negated) flag = nullptr;
    }
    if (flag == nullptr)
      return MakeError(ErrorCode::kInvalidInput, "unknown long flag '--{}'", name);
    if (flag->seen && !flag->repeatable) {
      return MakeError(ErrorCode::kInvalidInput, "flag '{}' cannot be repeated", flag->name);
    }
    flag->seen = true;
    std::string value;
    if (flag->placeholder.empty()) {
      if (equals != std::string::npos) {
        return MakeError(ErrorCode::kInvalidInput, "unexpected {}", word.substr(equals + 1));
      }
      value = negated ? "false" : "true";
    } else if (equals != std::string::npos) {
      value = word.substr(equals + 1);
    } else if (i + 1 < words.size() && !words[i + 1].starts_with("--")) {
      value = words[++i];
    } else {
      return MakeError(ErrorCode::kInvalidInput, "expected argument for flag '--{}'", name);
    }
    NARTHEX_RETURN_IF_ERROR(flag->set(value));
  }
  return {};
}

std::string FlagSet::HelpText() const {
  std::string out =
      fmt::format("usage: {} [<flags>]{}\n\n{}\n\n\nFlags:\n", program_,
                  arguments_name_.empty() ? "" : " [<" + arguments_name_ + ">...]", description_);
  const auto row = [&](const std::string& left, std::string_view help) {
    out += left;
    size_t column = left.size();
    if (column + 2 > kHelpColumn) {
      out += "\n";
      column = 0;
    }
    for (const std::string& line : Wrap(help, 80 - kHelpColumn)) {
      out.append(kHelpColumn - column, ' ').append(line).append("\n");
      column = 0;
    }
  };
  row("  -h, --[no-]help", "Show this help.");
  row("      --[no-]version", "Show the version.");
  for (const auto& flag : flags_) {
    if (flag->hidden) continue;
    row(flag->placeholder.empty() ? "      --[no-]" + flag->name
                                  : "      --" + flag->name + "=" + flag->placeholder,
        flag->help);
  }
  if (!arguments_name_.empty()) {
    out += "\nArgs:\n";
    row("  [<" + arguments_name_ + ">]", arguments_help_);
  }
  return out;
}

std::map<std::string, std::string> FlagSet::Values() const {
  std::map<std::string, std::string> values;
  for (const auto& flag : flags_) values[flag->name] = flag->print();
  return values;
}

Result<int64_t> ParseGoDuration(std::string_view text) {
  const auto malformed = [&] {
    return MakeError(ErrorCode::kInvalidInput, "time: invalid duration {}", GoQuote(text));
  };
  struct Unit {
    std::string_view name;
    double nanos;
  };
  constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
                             {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  std::string_view rest = text;
  double sign = 1;
  if (rest.starts_with('-') || rest.starts_with('+')) {
    sign = rest[0] == '-' ? -1 : 1;
    rest.remove_prefix(1);
  }
  if (rest == "0") return int64_t{0};
  if (rest.empty()) return malformed();
  double total = 0;
  while (!rest.empty()) {
    const size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const std::optional<double> count = ParseFloat(rest.substr(0, digits));
    if (!count) return malformed();
    rest.remove_prefix(digits);
    if (rest.empty()) {
      return MakeError(ErrorCode::kInvalidInput, "time: missing unit in duration {}",
                       GoQuote(text));
    }
    const size_t letters = std::min(rest.find_first_of("0123456789."), rest.size());
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const Unit& u) { return u.name == name; });
    if (unit == std::end(kUnits)) {
      return MakeError(ErrorCode::kInvalidInput, "time: unknown unit {} in duration {}",
                       GoQuote(name), GoQuote(text));
    }
    total += *count * unit->nanos;
  }
  return static_cast<int64_t>(sign * total);
}

}  // namespace narthex::apps
