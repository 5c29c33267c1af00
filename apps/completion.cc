// Completion of command lines. The scripts hold no words of their own: each asks the program it
// completes, so that they stay right when the program changes.
#include <algorithm>

#include "apps/program_tree.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

constexpr std::string_view kBashScript = R"sh(# bash completion for PROGRAM
_PROGRAM_complete() {
  local cur="${COMP_WORDS[COMP_CWORD]}" IFS=$'\n'
  # Bash splits words at these signs; what is completed then is the part behind them.
  [[ $cur == [=:] ]] && cur=
  COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" --completion-bash \
    "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _PROGRAM_complete PROGRAM
)sh";

constexpr std::string_view kZshScript = R"sh(#compdef PROGRAM
_PROGRAM() {
  local -a answers
  answers=("${(@f)$("${words[1]}" --completion-zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${answers[1]}" ]]; then
    _describe -t commands 'PROGRAM' answers
  else
    _files
  fi
}
# Read as a file of $fpath this is the body of the function; sourced, it has to register it.
if [[ "${funcstack[1]}" == "_PROGRAM" ]]; then
  _PROGRAM "$@"
else
  compdef _PROGRAM PROGRAM
fi
)sh";

constexpr std::string_view kFishScript = R"sh(# fish completion for PROGRAM
function __PROGRAM_ask
  set -l words (commandline -opc) (commandline -ct)
  set -g __PROGRAM_answers ($words[1] --completion-fish $words[2..-1] 2>/dev/null)
  test (count $__PROGRAM_answers) -gt 0
end
complete -c PROGRAM -n __PROGRAM_ask -f -a '$__PROGRAM_answers'
)sh";

struct Candidate {
  std::string word;
  std::string help;
};

// A line up to the word that is to be completed.
class PartialLine {
 public:
  PartialLine(const Command& root, std::span<const std::string> words) : chain_{&root} {
    for (const std::string& word : words) Read(word);
  }

  std::vector<Candidate> Complete(const std::string& last) const;

 private:
  void Read(const std::string& word);
  const FlagSet::Flag* FindFlag(std::string_view word) const;
  std::vector<Candidate> Flags() const;
  std::vector<Candidate> Words() const;

  std::vector<const Command*> chain_;
  const FlagSet::Flag* awaits_value_ = nullptr;
  size_t arguments_ = 0;
  bool only_words_ = false;
};

const FlagSet::Flag* PartialLine::FindFlag(std::string_view word) const {
  const bool is_long = word.starts_with("--");
  for (const Command* command : chain_) {
    for (const auto& flag : command->flags().flags()) {
      const bool same =
          is_long ? word.substr(2) == flag->name : word.size() == 2 && word[1] == flag->short_name;
      if (same) return flag.get();
    }
  }
  return nullptr;
}

void PartialLine::Read(const std::string& word) {
  if (awaits_value_ != nullptr) {
    awaits_value_ = nullptr;
  } else if (!only_words_ && word == "--") {
    only_words_ = true;
  } else if (!only_words_ && word.size() > 1 && word.starts_with('-')) {
    const FlagSet::Flag* flag = FindFlag(word);
    if (flag != nullptr && !flag->placeholder.empty()) awaits_value_ = flag;
  } else if (const Command* next = chain_.back()->Find(word)) {
    chain_.push_back(next);
  } else {
    ++arguments_;
  }
}

std::vector<Candidate> PartialLine::Flags() const {
  std::vector<Candidate> candidates;
  const auto add_of = [&](const Command& command) {
    for (const auto& flag : command.flags().flags()) {
      if (flag->hidden) continue;
      candidates.push_back({"--" + flag->name, flag->help});
      // What is on already can only be switched off.
      if (flag->placeholder.empty() && flag->print() == "true") {
        candidates.push_back({"--no-" + flag->name, flag->help});
      }
    }
  };
  add_of(*chain_.back());
  candidates.push_back({"--help", "Show help."});
  candidates.push_back({"--version", "Show the version."});
  for (size_t i = 0; i + 1 < chain_.size(); ++i) add_of(*chain_[i]);
  return candidates;
}

std::vector<Candidate> PartialLine::Words() const {
  std::vector<Candidate> candidates;
  const Command& command = *chain_.back();
  if (!command.commands().empty()) {
    if (command.parent() == nullptr) candidates.push_back({"help", "Show help."});
    for (const auto& child : command.commands()) {
      if (!child->hidden()) candidates.push_back({child->name(), child->help()});
    }
  } else if (arguments_ < command.arguments().size()) {
    for (const std::string& choice : command.arguments()[arguments_].choices) {
      candidates.push_back({choice, ""});
    }
  }
  return candidates;
}

std::vector<Candidate> Values(const FlagSet::Flag& flag, const std::string& prefix) {
  std::vector<Candidate> candidates;
  for (const std::string& choice : flag.choices) candidates.push_back({prefix + choice, ""});
  return candidates;
}

std::vector<Candidate> PartialLine::Complete(const std::string& last) const {
  if (awaits_value_ != nullptr) return Values(*awaits_value_, "");
  if (only_words_ || !last.starts_with('-')) return Words();
  const size_t equals = last.find('=');
  if (equals == std::string::npos) return Flags();
  const FlagSet::Flag* flag = FindFlag(std::string_view(last).substr(0, equals));
  if (flag == nullptr) return {};
  return Values(*flag, last.substr(0, equals + 1));
}

std::string ReplaceAll(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

bool IsWordBreak(const std::string& word) {
  return !word.empty() && word.find_first_not_of("=:") == std::string::npos;
}

// Puts together what bash splits: {"--url", "=", "http", ":", "//x"} is one word.
Arguments JoinBashWords(const Arguments& words) {
  Arguments joined;
  bool behind_break = false;
  for (const std::string& word : words) {
    const bool is_break = IsWordBreak(word);
    if (!joined.empty() && (behind_break || is_break)) {
      joined.back() += word;
    } else {
      joined.push_back(word);
    }
    behind_break = is_break;
  }
  return joined;
}

// The first sentence; lists of words have one line each.
std::string Brief(std::string_view help) {
  std::string text(help.substr(0, std::min(help.find(". "), help.find('\n'))));
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::string CompletionScript(Shell shell, const std::string& program) {
  const std::string_view script = shell == Shell::kBash  ? kBashScript
                                  : shell == Shell::kZsh ? kZshScript
                                                         : kFishScript;
  return ReplaceAll(std::string(script), "PROGRAM", program);
}

std::string CompletionWords(Shell shell, const Command& root, Arguments words) {
  const bool split_by_bash =
      shell == Shell::kBash && std::any_of(words.begin(), words.end(), IsWordBreak);
  if (split_by_bash) words = JoinBashWords(words);
  if (words.empty()) words.emplace_back();
  const PartialLine line(root, std::span(words).first(words.size() - 1));
  std::string out;
  for (const Candidate& candidate : line.Complete(words.back())) {
    std::string word = candidate.word;
    if (split_by_bash && words.back().starts_with("--")) word.erase(0, word.find('=') + 1);
    if (shell == Shell::kZsh) word = ReplaceAll(word, ":", "\\:");
    const std::string help = Brief(candidate.help);
    out += word;
    if (shell == Shell::kZsh && !help.empty()) out += ":" + help;
    if (shell == Shell::kFish && !help.empty()) out += "\t" + help;
    out += '\n';
  }
  return out;
}

}  // namespace narthex::apps
