// --help of commands, laid out as kingpin lays it out: two columns, text wrapped so that lines end
// at about the same place and rather behind punctuation.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "apps/tool_command.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kFirstColumnMax = 30;
// Go's wrapping: willing to leave eight columns empty in order to end a line with punctuation.
constexpr int64_t kNoPunctuationPenalty = 64;

using Rows = std::vector<std::pair<std::string, std::string>>;

// The cheapest breaks of the words into lines: first by how far lines are too long, then by the
// squares of what is left empty at their ends. The last line may be short.
std::vector<std::string> WrapWords(const std::vector<std::string_view>& words, int64_t width) {
  const size_t count = words.size();
  std::vector<int64_t> ends(count + 1, 0);  // Of words[:i], each with a space behind it.
  for (size_t i = 0; i < count; ++i) {
    ends[i + 1] = ends[i] + static_cast<int64_t>(CountRunes(words[i])) + 1;
  }
  using Cost = std::pair<int64_t, int64_t>;
  std::vector<Cost> best(count + 1);
  std::vector<size_t> start(count + 1, 0);
  for (size_t end = 1; end <= count; ++end) {
    for (size_t begin = 0; begin < end; ++begin) {
      const int64_t length = ends[end] - 1 - ends[begin];
      Cost cost = best[begin];
      if (end != count || length > width) {
        const char last = words[end - 1].back();
        const bool punctuation = last == '.' || last == ',' || last == ':' || last == ';';
        const int64_t square = (width - length) * (width - length);
        if (length > width) cost.first += square;
        cost.second += (length > width ? 0 : square) + (punctuation ? 0 : kNoPunctuationPenalty);
      }
      if (begin == 0 || cost <= best[end]) {
        best[end] = cost;
        start[end] = begin;
      }
    }
  }
  std::vector<std::string> lines;
  for (size_t end = count; end > 0; end = start[end]) {
    std::string line;
    for (size_t i = start[end]; i < end; ++i) {
      if (!line.empty()) line += ' ';
      line += words[i];
    }
    lines.push_back(std::move(line));
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

// Paragraphs are separated by empty lines, here and in the result.
std::vector<std::string> WrapText(std::string_view text, size_t width) {
  std::vector<std::string> lines;
  std::vector<std::string_view> words;
  const auto flush = [&] {
    if (words.empty()) return;
    if (!lines.empty()) lines.emplace_back();
    const std::vector<std::string> wrapped = WrapWords(words, static_cast<int64_t>(width));
    lines.insert(lines.end(), wrapped.begin(), wrapped.end());
    words.clear();
  };
  for (const std::string_view line : Split(text, '\n')) {
    if (TrimSpace(line).empty()) flush();
    for (const std::string_view word : Split(line, ' ')) {
      if (!word.empty()) words.push_back(word);
    }
  }
  flush();
  return lines;
}

void AppendWrapped(std::string_view text, size_t indent, std::string* out) {
  for (const std::string& line : WrapText(text, kWidth - indent)) {
    if (!line.empty()) out->append(indent, ' ').append(line);
    *out += '\n';
  }
}

void AppendColumns(const Rows& rows, size_t indent, std::string* out) {
  constexpr size_t kPadding = 2;
  size_t first = 0;
  for (const auto& [left, right] : rows) {
    if (left.size() < kFirstColumnMax) first = std::max(first, left.size());
  }
  for (const auto& [left, right] : rows) {
    std::vector<std::string> lines = WrapText(right, kWidth - first - kPadding - indent);
    if (lines.empty()) lines.emplace_back();
    out->append(indent, ' ').append(left);
    out->append(left.size() < first ? first - left.size() : 0, ' ').append(kPadding, ' ');
    if (left.size() >= kFirstColumnMax) {
      *out += '\n';
      out->append(indent + first + kPadding, ' ');
    }
    *out += lines[0] + "\n";
    for (size_t i = 1; i < lines.size(); ++i) {
      out->append(indent + first + kPadding, ' ').append(lines[i]).append("\n");
    }
  }
}

std::string ArgumentText(const Command::Argument& argument) {
  const std::string name = "<" + argument.name + ">" + (argument.repeatable ? "..." : "");
  return argument.required ? name : "[" + name + "]";
}

}  // namespace

std::string CommandSummary(const Command& command) {
  std::string required;
  bool optional = command.parent() == nullptr;  // --help and --version.
  for (const auto& flag : command.flags().flags()) {
    if (flag->required) {
      std::string placeholder = flag->placeholder;
      if (placeholder.ends_with(" ...")) placeholder.resize(placeholder.size() - 4);
      required += " --" + flag->name + "=" + placeholder;
    } else if (!flag->hidden) {
      optional = true;
    }
  }
  std::string summary = required + (optional ? " [<flags>]" : "");
  for (const Command::Argument& argument : command.arguments()) {
    summary += " " + ArgumentText(argument);
  }
  return summary;
}

namespace {

void AppendLeaves(const Command& command, std::string* out) {
  for (const auto& child : command.commands()) {
    if (child->hidden()) continue;
    if (!child->commands().empty()) {
      AppendLeaves(*child, out);
      continue;
    }
    *out += child->path() + CommandSummary(*child) + "\n";
    AppendWrapped(child->help(), 4, out);
    *out += '\n';
  }
}

// The flags that the command declares itself. Names stand below one another where any has a short
// form.
void AppendOwnFlagRows(const Command& command, bool room_for_short, Rows* rows) {
  for (const auto& flag : command.flags().flags()) {
    if (flag->hidden) continue;
    std::string left = room_for_short ? "    " : "";
    if (flag->short_name != 0) left = {'-', flag->short_name, ',', ' '};
    left += flag->placeholder.empty() ? "--[no-]" + flag->name
                                      : "--" + flag->name + "=" + flag->placeholder;
    rows->emplace_back(std::move(left), flag->help);
  }
}

void AppendFlagRows(const Command& command, Rows* rows) {
  if (command.parent() != nullptr) {
    AppendFlagRows(*command.parent(), rows);
  } else {
    rows->emplace_back("-h, --[no-]help",
                       "Show context-sensitive help (also try --help-long and --help-man).");
    rows->emplace_back("    --[no-]version", "Show application version.");
  }
  AppendOwnFlagRows(command, true, rows);
}

void AppendLongLeaves(const Command& command, std::string* out) {
  for (const auto& child : command.commands()) {
    if (child->hidden()) continue;
    if (!child->commands().empty()) {
      AppendLongLeaves(*child, out);
      continue;
    }
    *out += child->path() + CommandSummary(*child) + "\n";
    AppendWrapped(child->help(), 4, out);
    *out += '\n';
    const auto& flags = child->flags().flags();
    const bool any_short = std::any_of(flags.begin(), flags.end(), [](const auto& flag) {
      return !flag->hidden && flag->short_name != 0;
    });
    Rows rows;
    AppendOwnFlagRows(*child, any_short, &rows);
    AppendColumns(rows, 4, out);
    *out += '\n';
  }
}

// Usage, help and flags: the beginning of both kinds of help.
std::string Beginning(const Command& command, std::string_view gap) {
  const Command* root = &command;
  while (root->parent() != nullptr) root = root->parent();
  std::string out = "usage: " + root->name();
  if (&command != root) out += " " + command.path();
  out += CommandSummary(command);
  out += command.commands().empty() ? "\n\n" : " <command> [<args> ...]\n\n";
  AppendWrapped(command.help(), 0, &out);
  out.append(gap).append("Flags:\n");
  Rows rows;
  AppendFlagRows(command, &rows);
  AppendColumns(rows, 2, &out);
  out += '\n';
  return out;
}

}  // namespace

std::string LongHelp(const Command& root) {
  std::string out = Beginning(root, "\n");
  if (root.commands().empty()) return out;
  out += "Commands:\nhelp [<command>...]\n    Show help.\n\n\n";
  AppendLongLeaves(root, &out);
  out += '\n';
  return out;
}

std::string CommandHelp(const Command& command) {
  std::string out = Beginning(command, "\n\n");
  if (!command.arguments().empty()) {
    Rows rows;
    for (const Command::Argument& argument : command.arguments()) {
      const std::string name = "<" + argument.name + ">";
      rows.emplace_back(argument.required ? name : "[" + name + "]", argument.help);
    }
    out += "Args:\n";
    AppendColumns(rows, 2, &out);
    out += '\n';
  }
  if (!command.commands().empty()) {
    const bool is_root = command.parent() == nullptr;
    out += is_root ? "Commands:\n" : "Subcommands:\n";
    if (is_root) out += "help [<command>...]\n    Show help.\n\n";
    AppendLeaves(command, &out);
    out += '\n';
  }
  return out;
}

}  // namespace narthex::apps
