// A script taken apart into commands.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/labels.h"
#include "promql/parser/series_description.h"
#include "util/status.h"

namespace re2 {
class RE2;
}

namespace narthex::promql::script {

// All options of the language are on in scripts.
ParserOptions ScriptParserOptions();

struct ClearCommand {};

struct LoadSample {
  int64_t time_ms = 0;
  SequenceValue value;
  int64_t start_ms = 0;
};
struct LoadSeries {
  Labels labels;
  std::vector<LoadSample> samples;
};
struct LoadCommand {
  size_t line = 0;
  bool with_nhcb = false;  // Adds histograms with custom buckets made of the classic ones.
  std::vector<LoadSeries> series;
};

enum class Annotation : uint8_t { kWarn, kInfo };

// A text that must be equal, or an expression that must be found in it.
struct Expectation {
  std::string text;
  std::shared_ptr<const re2::RE2> regex;
  bool Matches(std::string_view actual) const;
};

struct ExpectedSeries {
  size_t position = 0;  // From 1.
  Labels labels;
  std::vector<SequenceValue> values;
};

struct EvalCommand {
  size_t line = 0;
  std::string query;
  bool is_range = false;
  int64_t time_ms = 0;  // Of an instant query.
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;

  bool ordered = false;
  bool fail = false;
  std::vector<Expectation> fail_with;
  // By Annotation: those wanted; whether any is wanted at least; whether none may be there.
  std::array<std::vector<Expectation>, 2> annotations;
  std::array<bool, 2> any_annotation = {};
  std::array<bool, 2> no_annotation = {};
  // The result is a range vector or a string: not compared with a range query.
  bool instant_only = false;

  std::optional<double> scalar;
  std::string string;
  std::vector<ExpectedSeries> series;
};

using Command = std::variant<ClearCommand, LoadCommand, EvalCommand>;
Result<std::vector<Command>> ParseScript(std::string_view text);

}  // namespace narthex::promql::script
