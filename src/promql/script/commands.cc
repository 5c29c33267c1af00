#include "promql/script/commands.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "promql/parser/parser.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::promql::script {

ParserOptions ScriptParserOptions() {
  return {
      .experimental_functions = true, .binop_fill_modifiers = true, .unquoted_utf8_names = true};
}

bool Expectation::Matches(std::string_view actual) const {
  if (regex == nullptr) return text == actual;
  return RE2::PartialMatch(re2::StringPiece(actual.data(), actual.size()), *regex);
}

namespace {

Result<int64_t> Millis(std::string_view text) {
  NARTHEX_TRY(const int64_t nanos, ParseDuration(text));
  return nanos / kNanosPerMilli;
}

// Go's strconv.Unquote for the two kinds of quotes that scripts use.
std::optional<std::string> Unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back()) return std::nullopt;
  const std::string_view inner = text.substr(1, text.size() - 2);
  if (text.front() == '`') return std::string(inner);
  // PromQL's own literals have the same escapes.
  Result<ExprPtr> parsed = ParseExpr(text);
  if (!parsed.ok() || (*parsed)->kind != Expr::Kind::kStringLiteral) return std::nullopt;
  return (*parsed)->As<StringLiteral>().value;
}

// A number that stands alone: Go's integers (0x…) or a float.
std::optional<double> LoneNumber(std::string_view text) {
  if (const auto value = ParseFloat(text); value.has_value()) return value;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    uint64_t value = 0;
    for (const char c : text.substr(2)) {
      const std::string_view digits = "0123456789abcdef";
      const size_t digit = digits.find(static_cast<char>(c | 0x20));
      if (digit == std::string_view::npos) return std::nullopt;
      value = value * 16 + digit;
    }
    return static_cast<double>(value);
  }
  return std::nullopt;
}

class Reader {
 public:
  explicit Reader(std::string_view text) {
    for (const std::string_view line : Split(text, '\n')) {
      const std::string_view trimmed = TrimSpace(line);
      lines_.push_back(trimmed.starts_with('#') ? std::string_view() : trimmed);
    }
  }

  Result<std::vector<Command>> Read() {
    std::vector<Command> commands;
    for (; at_ < lines_.size(); ++at_) {
      if (lines_[at_].empty()) continue;
      const std::string word = ToLower(lines_[at_].substr(0, lines_[at_].find_first_of(" \t")));
      if (word == "clear") {
        commands.emplace_back(ClearCommand{});
      } else if (word.starts_with("load")) {
        NARTHEX_TRY(LoadCommand command, ReadLoad());
        commands.emplace_back(std::move(command));
      } else if (word.starts_with("eval")) {
        NARTHEX_TRY(EvalCommand command, ReadEval());
        commands.emplace_back(std::move(command));
      } else {
        return Error("invalid command " + GoQuote(lines_[at_]));
      }
    }
    return commands;
  }

 private:
  Status Error(std::string_view what) const {
    return MakeError(ErrorCode::kInvalidInput, "line {}: {}", at_ + 1, what);
  }
  Status EvalError(const EvalCommand& command, std::string_view what) const {
    return MakeError(ErrorCode::kInvalidInput, "error in eval {} (line {}): {}", command.query,
                     command.line, what);
  }
  // Moves to the next line of the block; false at its end.
  bool NextInBlock() {
    if (at_ + 1 >= lines_.size() || lines_[at_ + 1].empty()) return false;
    ++at_;
    return true;
  }

  Result<LoadCommand> ReadLoad() {
    static const RE2 kPattern(R"(^load(?:_(with_nhcb))?\s+(.+?)$)");
    std::string nhcb;
    std::string step;
    if (!RE2::FullMatch(std::string(lines_[at_]), kPattern, &nhcb, &step)) {
      return Error("invalid load command. (load[_with_nhcb] <step:duration>)");
    }
    LoadCommand command;
    command.line = at_ + 1;
    command.with_nhcb = !nhcb.empty();
    const Result<int64_t> step_ms = Millis(step);
    if (!step_ms.ok()) {
      return Error("invalid step definition " + GoQuote(step) + ": " + step_ms.status().message());
    }
    std::optional<StartTimestampLine> starts;
    while (NextInBlock()) {
      const std::string_view line = lines_[at_];
      if (IsStartTimestampLine(line)) {
        if (starts.has_value()) return Error("@st line has no following sample line");
        NARTHEX_TRY(starts, ParseStartTimestampLine(line, ScriptParserOptions()));
        continue;
      }
      NARTHEX_TRY(
          SeriesDescription description,
          ParseSeriesDescription(line, ScriptParserOptions(), nullptr, static_cast<int>(at_)));
      if (starts.has_value() && !(starts->labels == description.labels)) {
        return Error("@st metric does not match the following sample line metric");
      }
      if (starts.has_value() && starts->offsets.size() != description.values.size()) {
        return Error(fmt::format("@st line has {} values but sample line has {}",
                                 starts->offsets.size(), description.values.size()));
      }
      AddSeries(&command, std::move(description), starts, *step_ms);
      starts.reset();
    }
    if (starts.has_value()) return Error("@st line has no following sample line");
    return command;
  }

  static void AddSeries(LoadCommand* command, SeriesDescription description,
                        const std::optional<StartTimestampLine>& starts, int64_t step_ms) {
    LoadSeries series;
    series.labels = std::move(description.labels);
    for (size_t i = 0; i < description.values.size(); ++i) {
      if (description.values[i].omitted) continue;
      LoadSample sample;
      sample.time_ms = static_cast<int64_t>(i) * step_ms;
      sample.value = std::move(description.values[i]);
      if (starts.has_value() && !starts->offsets[i].omitted) {
        sample.start_ms = sample.time_ms + static_cast<int64_t>(starts->offsets[i].value);
      }
      series.samples.push_back(std::move(sample));
    }
    // The last line of a series counts.
    for (LoadSeries& other : command->series) {
      if (other.labels == series.labels) {
        other = std::move(series);
        return;
      }
    }
    command->series.push_back(std::move(series));
  }

  Status ReadTimes(std::string_view from, std::string_view to, std::string_view step,
                   EvalCommand* command) const {
    const auto take = [&](std::string_view what, std::string_view text, int64_t* out) -> Status {
      const Result<int64_t> value = Millis(text);
      if (!value.ok()) {
        return EvalError(*command, fmt::format("invalid {} definition {}: {}", what, GoQuote(text),
                                               value.status().message()));
      }
      *out = *value;
      return {};
    };
    NARTHEX_RETURN_IF_ERROR(take("start timestamp", from, &command->start_ms));
    NARTHEX_RETURN_IF_ERROR(take("end timestamp", to, &command->end_ms));
    if (command->end_ms < command->start_ms) {
      return EvalError(*command,
                       fmt::format("invalid test definition, end timestamp ({}) is before start "
                                   "timestamp ({})",
                                   to, from));
    }
    return take("step", step, &command->step_ms);
  }

  Result<EvalCommand> ReadEval() {
    static const RE2 kInstant(
        R"(^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$)");
    static const RE2 kRange(
        R"(^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$)");
    const std::string line(lines_[at_]);
    EvalCommand command;
    command.line = at_ + 1;
    std::string mode;
    std::string at;
    std::string from;
    std::string to;
    std::string step;
    if (RE2::FullMatch(line, kInstant, &mode, &at, &command.query)) {
      const Result<int64_t> time = Millis(at);
      if (!time.ok()) {
        return EvalError(command, fmt::format("invalid timestamp definition {}: {}", GoQuote(at),
                                              time.status().message()));
      }
      command.time_ms = command.start_ms = *time;
    } else if (RE2::FullMatch(line, kRange, &mode, &from, &to, &step, &command.query)) {
      command.is_range = true;
      NARTHEX_RETURN_IF_ERROR(ReadTimes(from, to, step, &command));
    } else {
      return Error(
          "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered] instant [at "
          "<offset:duration>] <query>' or 'eval[_fail|_warn] range from <from> to <to> step <step> "
          "<query>'");
    }
    if (Result<ExprPtr> parsed = ParseExpr(command.query, ScriptParserOptions()); !parsed.ok()) {
      return Error(parsed.status().message());
    }
    command.ordered = mode == "ordered";
    command.fail = mode == "fail";
    command.any_annotation = {mode == "warn", mode == "info"};
    NARTHEX_RETURN_IF_ERROR(ReadExpectations(&command));
    return command;
  }

  Status ReadExpectations(EvalCommand* command) {
    const bool old_fail = command->fail;
    bool expects_range_vector = false;
    size_t position = 1;
    for (; NextInBlock(); ++position) {
      const std::string_view line = lines_[at_];
      if (old_fail && line.starts_with("expected_fail_message")) {
        command->fail_with.push_back(
            {std::string(TrimSpace(line.substr(std::string_view("expected_fail_message").size()))),
             nullptr});
        break;
      }
      if (old_fail && line.starts_with("expected_fail_regexp")) {
        NARTHEX_TRY(Expectation expectation,
                    Regex(*command,
                          TrimSpace(line.substr(std::string_view("expected_fail_regexp").size()))));
        command->fail_with.push_back(std::move(expectation));
        break;
      }
      if (line.starts_with("expect range vector")) {
        NARTHEX_RETURN_IF_ERROR(ReadRangeVector(line, command));
        expects_range_vector = true;
        continue;
      }
      if (line.starts_with("expect string")) {
        const std::string_view literal =
            TrimSpace(line.substr(std::string_view("expect string").size()));
        const std::optional<std::string> text = Unquote(literal);
        if (!text.has_value()) {
          return EvalError(*command,
                           "expected string literal not valid - check that the string is correctly "
                           "quoted");
        }
        command->string = *text;
        command->instant_only = true;
        continue;
      }
      if (line == "expect" || line.starts_with("expect ")) {
        NARTHEX_RETURN_IF_ERROR(ReadExpect(line, command));
        --position;
        continue;
      }
      if (const auto number = LoneNumber(line); number.has_value()) {
        command->scalar = number;
        break;
      }
      NARTHEX_TRY(
          SeriesDescription description,
          ParseSeriesDescription(line, ScriptParserOptions(), nullptr, static_cast<int>(at_)));
      if (description.values.empty() && !command->is_range) {
        return EvalError(*command, "expecting a value behind the series");
      }
      if (description.values.size() > 1 && !command->is_range && !expects_range_vector) {
        return EvalError(
            *command,
            "expecting multiple values in instant evaluation not allowed. consider "
            "using 'expect range vector' directive to enable a range vector result for "
            "an instant query");
      }
      AddExpected(command, position, std::move(description));
    }
    return {};
  }

  static void AddExpected(EvalCommand* command, size_t position, SeriesDescription description) {
    command->scalar.reset();
    ExpectedSeries expected{position, std::move(description.labels), std::move(description.values)};
    for (ExpectedSeries& other : command->series) {
      if (other.labels == expected.labels) {
        other = std::move(expected);
        return;
      }
    }
    command->series.push_back(std::move(expected));
  }

  Status ReadRangeVector(std::string_view line, EvalCommand* command) const {
    static const RE2 kPattern(R"(^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$)");
    std::string from;
    std::string to;
    std::string step;
    if (!RE2::FullMatch(std::string(line), kPattern, &from, &to, &step)) {
      return EvalError(*command, "invalid range vector definition " + GoQuote(line));
    }
    NARTHEX_RETURN_IF_ERROR(ReadTimes(from, to, step, command));
    command->time_ms = command->end_ms;
    command->instant_only = true;
    return {};
  }

  Result<Expectation> Regex(const EvalCommand& command, std::string_view pattern) const {
    RE2::Options options;
    options.set_log_errors(false);
    auto regex =
        std::make_shared<const RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
    if (!regex->ok()) {
      return EvalError(command, fmt::format("invalid regex {}", pattern));
    }
    return Expectation{std::string(pattern), std::move(regex)};
  }

  Status ReadExpect(std::string_view line, EvalCommand* command) const {
    static const RE2 kPattern(
        R"(^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$)");
    std::string mode;
    std::string kind;
    std::string rest;
    if (!RE2::FullMatch(std::string(line), kPattern, &mode, &kind, &rest)) {
      return EvalError(*command,
                       "invalid expect statement, must match `expect <type> <match_type>: "
                       "<string>` format");
    }
    const std::string_view text = TrimSpace(rest);
    Expectation expectation;
    if (kind == "msg") {
      expectation.text = text;
    } else {
      NARTHEX_TRY(expectation, Regex(*command, kind == "regex" ? text : ".*"));
    }
    if (mode == "ordered") {
      command->ordered = true;
    } else if (mode == "fail") {
      if (!command->fail_with.empty()) {
        return EvalError(*command,
                         "invalid expect lines, multiple expect fail lines are not allowed");
      }
      command->fail = true;
      command->fail_with.push_back(std::move(expectation));
    } else {
      const bool info = mode.ends_with("info");
      const size_t annotation = static_cast<size_t>(info ? Annotation::kInfo : Annotation::kWarn);
      if (mode.starts_with("no_")) {
        command->no_annotation[annotation] = true;
      } else {
        command->annotations[annotation].push_back(std::move(expectation));
      }
      if (command->no_annotation[annotation] && !command->annotations[annotation].empty()) {
        return EvalError(*command,
                         fmt::format("invalid expect lines, {} and no_{} cannot be used together",
                                     info ? "info" : "warn", info ? "info" : "warn"));
      }
    }
    return {};
  }

  std::vector<std::string_view> lines_;
  size_t at_ = 0;
};

}  // namespace

Result<std::vector<Command>> ParseScript(std::string_view text) {
  return Reader(text).Read();
}

}  // namespace narthex::promql::script
