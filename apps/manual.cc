// Manual pages in the macros of man(7), which every roff reads.
#include <fmt/format.h>

#include <algorithm>

#include "apps/program_tree.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

// Text as roff prints it unchanged. A hyphen becomes a minus, which survives copying into a shell.
std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

// A paragraph: no line begins with what roff takes for a request, none is empty.
std::string Paragraph(std::string_view text) {
  std::string out;
  for (const std::string_view line : Split(text, '\n')) {
    const std::string_view words = TrimSpace(line);
    if (words.empty()) continue;
    if (words.starts_with('.') || words.starts_with('\'')) out += "\\&";
    out += Escape(words) + "\n";
  }
  return out;
}

std::string Bold(std::string_view text) {
  return "\\fB" + Escape(text) + "\\fR";
}

std::string Beginning(const std::string& name, std::string_view help) {
  std::string line(help.substr(0, help.find('\n')));
  if (line.ends_with('.')) line.pop_back();
  return fmt::format(
      ".TH {} 1 \"\" \"narthex {}\" \"User Commands\"\n.ad l\n.nh\n.SH NAME\n{} \\- {}",
      Upper(Escape(name)), Version(), Escape(name), Paragraph(line));
}

std::string FlagEntries(const Command& command) {
  std::string out;
  for (const auto& flag : command.flags().flags()) {
    if (flag->hidden) continue;
    out += ".TP\n";
    if (flag->short_name != 0) out += Bold(std::string{'-', flag->short_name}) + ", ";
    if (flag->placeholder.empty()) {
      out += Bold("--[no-]" + flag->name) + "\n";
    } else {
      out += Bold("--" + flag->name) + "=" + Escape(flag->placeholder) + "\n";
    }
    out += Paragraph(flag->help);
    if (!flag->choices.empty()) {
      out += Paragraph("One of " + Join(flag->choices, ", ") + ".");
    }
    if (flag->placeholder.empty() && flag->print() == "true") out += "On by default.\n";
  }
  return out;
}

std::string ArgumentEntries(const Command& command) {
  std::string out;
  for (const Command::Argument& argument : command.arguments()) {
    out += ".TP\n" + Bold("<" + argument.name + ">") + "\n" + Paragraph(argument.help);
  }
  return out;
}

void AppendLeaves(const Command& command, size_t above, std::string* out) {
  for (const auto& child : command.commands()) {
    if (child->hidden()) continue;
    const std::string path = child->path().substr(above);
    const bool leaf = child->commands().empty();
    // Those with flags that all below them take have an entry as well.
    if (leaf || !child->flags().flags().empty()) {
      const std::string summary = CommandSummary(*child) + (leaf ? "" : " <command>");
      *out += ".SS " + Escape(path) + "\n.B " + Escape(path + summary) + "\n.PP\n" +
              Paragraph(child->help()) + ArgumentEntries(*child) + FlagEntries(*child);
    }
    AppendLeaves(*child, above, out);
  }
}

constexpr std::string_view kCommonFlags =
    ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow help.\n.TP\n\\fB\\-\\-version\\fR\n"
    "Show the version.\n";

}  // namespace

std::string ManualPage(const Command& command, const std::string& name) {
  std::string words = name;
  // "narthex-tool" is typed with spaces; names of upstream's programs have no other parts.
  if (words.starts_with("narthex-")) std::replace(words.begin(), words.end(), '-', ' ');
  if (!command.path().empty()) words = "narthex " + command.path();
  const bool leaf = command.commands().empty();
  std::string summary = CommandSummary(command);
  if (!summary.starts_with(" [<flags>]") && leaf) summary = " [<flags>]" + summary;
  std::string out = Beginning(name, command.help()) + ".SH SYNOPSIS\n.B " +
                    Escape(words + summary) + (leaf ? "" : Escape(" <command> [<args> ...]")) +
                    "\n.SH DESCRIPTION\n" + Paragraph(command.help());
  if (!command.arguments().empty()) out += ".SH ARGUMENTS\n" + ArgumentEntries(command);
  out += ".SH OPTIONS\n" + std::string(kCommonFlags) + FlagEntries(command);
  if (!leaf) {
    out += ".SH COMMANDS\n";
    AppendLeaves(command, command.path().empty() ? 0 : command.path().size() + 1, &out);
  }
  if (name.starts_with("narthex-")) out += ".SH SEE ALSO\n.BR narthex (1)\n";
  return out;
}

std::string ManualOverview(const Command& root) {
  std::string out = Beginning(root.name(), root.help()) +
                    ".SH SYNOPSIS\n.B narthex <command> [<args> ...]\n.SH DESCRIPTION\n" +
                    Paragraph(root.help()) +
                    "A link to it that is called prometheus, promtool, pushgateway or\n"
                    "node_exporter takes the place of that program.\n.SH COMMANDS\n";
  std::string pages;
  for (const auto& command : root.commands()) {
    out += ".TP\n" + Bold(command->name()) + "\n" + Paragraph(command->help());
    if (!pages.empty()) pages += ",\n";
    pages += ".BR narthex\\-" + command->name() + " (1)";
  }
  out += ".SH OPTIONS\n" + std::string(kCommonFlags) + ".SH SEE ALSO\n";
  // The comma belongs to the line of the page in front of it.
  return out + pages + "\n";
}

}  // namespace narthex::apps
