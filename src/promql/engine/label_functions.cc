// label_replace(), label_join(), sort_by_label(), sort_by_label_desc().
#include <re2/re2.h>

#include <algorithm>

#include "model/go_regex.h"
#include "promql/engine/evaluator.h"
#include "promql/engine/pattern_sort.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

constexpr int64_t kRegexBytesMax = 64 << 20;

const std::string& StringArgument(const Call& call, size_t i) {
  return call.arguments[i]->As<StringLiteral>().value;
}

// Any non-empty UTF-8 text names a label.
bool IsLabelName(std::string_view name) {
  return !name.empty() && IsValidUtf8(name);
}

bool IsWordByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Go's Regexp.Expand: $1, $name, ${name}; unknown groups are empty, $$ is a dollar sign.
std::string ExpandTemplate(std::string_view text, const RE2& regex,
                           const std::vector<re2::StringPiece>& groups) {
  std::string out;
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    out.append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      out.push_back('$');
      text.remove_prefix(1);
      continue;
    }
    const bool braces = text.starts_with('{');
    const std::string_view rest = text.substr(braces ? 1 : 0);
    size_t length = 0;
    while (length < rest.size() && IsWordByte(rest[length])) ++length;
    if (length == 0 || (braces && !rest.substr(length).starts_with('}'))) {
      out.push_back('$');  // Malformed: a dollar sign like any other.
      continue;
    }
    const std::string_view name = rest.substr(0, length);
    text = rest.substr(length + (braces ? 1 : 0));
    size_t index = groups.size();
    if (const auto number = ParseUint(name); number.has_value()) {
      index = static_cast<size_t>(*number);
    } else {
      const auto& names = regex.NamedCapturingGroups();
      if (const auto at = names.find(std::string(name)); at != names.end()) {
        index = static_cast<size_t>(at->second);
      }
    }
    if (index < groups.size() && groups[index].data() != nullptr) {
      out.append(groups[index].data(), groups[index].size());
    }
  }
  return out;
}

// Chunks of digits compare as numbers, others as text.
std::vector<std::string_view> Chunks(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::vector<std::string_view> chunks;
  while (!text.empty()) {
    size_t size = 1;
    while (size < text.size() && is_digit(text[size]) == is_digit(text[0])) ++size;
    chunks.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return chunks;
}

bool NaturalLess(std::string_view a, std::string_view b) {
  const std::vector<std::string_view> as = Chunks(a);
  const std::vector<std::string_view> bs = Chunks(b);
  for (size_t i = 0; i < as.size(); ++i) {
    if (i >= bs.size()) return false;
    const auto x = ParseInt(as[i]);
    const auto y = ParseInt(bs[i]);
    const bool numbers = x.has_value() && y.has_value();
    if (numbers ? *x != *y : as[i] != bs[i]) return numbers ? *x < *y : as[i] < bs[i];
    if (i + 1 == as.size()) return true;
    if (i + 1 == bs.size()) return false;
  }
  return false;
}

}  // namespace

Result<Value> Evaluator::EvalLabelReplace(const Call& call) {
  const std::string& target = StringArgument(call, 1);
  const std::string& replacement = StringArgument(call, 2);
  const std::string& source = StringArgument(call, 3);
  const std::string& pattern = StringArgument(call, 4);
  const auto compiled = CompileGoRegex("^(?s:" + pattern + ")$", kRegexBytesMax);
  if (!compiled.ok()) {
    return MakeError(ErrorCode::kExecution, "invalid regular expression in label_replace(): {}",
                     pattern);
  }
  if (!IsLabelName(target)) {
    return MakeError(ErrorCode::kExecution, "invalid destination label name in label_replace(): {}",
                     target);
  }
  const RE2& regex = **compiled;
  NARTHEX_TRY(Value value, Eval(*call.arguments[0]));
  std::vector<re2::StringPiece> groups(static_cast<size_t>(regex.NumberOfCapturingGroups()) + 1);
  for (VectorSeries& series : value.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    const std::string text(series.labels.Get(source));
    if (!regex.Match(text, 0, text.size(), RE2::UNANCHORED, groups.data(),
                     static_cast<int>(groups.size()))) {
      continue;
    }
    LabelsBuilder builder(std::move(series.labels));
    builder.Set(target, ExpandTemplate(replacement, regex, groups));
    series.labels = builder.Build();
    if (target == kMetricNameLabel) series.drop_name = false;
  }
  NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&value.vector, query_->cancellation));
  return value;
}

Result<Value> Evaluator::EvalLabelJoin(const Call& call) {
  const std::string& target = StringArgument(call, 1);
  const std::string& separator = StringArgument(call, 2);
  for (size_t i = 3; i < call.arguments.size(); ++i) {
    if (!IsLabelName(StringArgument(call, i))) {
      return MakeError(ErrorCode::kExecution, "invalid source label name in label_join(): {}",
                       StringArgument(call, i));
    }
  }
  if (!IsLabelName(target)) {
    return MakeError(ErrorCode::kExecution, "invalid destination label name in label_join(): {}",
                     target);
  }
  NARTHEX_TRY(Value value, Eval(*call.arguments[0]));
  for (VectorSeries& series : value.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    std::string joined;
    for (size_t i = 3; i < call.arguments.size(); ++i) {
      if (i > 3) joined += separator;
      joined += series.labels.Get(StringArgument(call, i));
    }
    LabelsBuilder builder(std::move(series.labels));
    builder.Set(target, joined);
    series.labels = builder.Build();
    if (target == kMetricNameLabel) series.drop_name = false;
  }
  NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&value.vector, query_->cancellation));
  return value;
}

Result<Value> Evaluator::EvalSortByLabel(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
  if (!grid_.single_step()) {
    query_->annotations.Warn(
        "sort is ineffective for range queries since results are always ordered by labels",
        call.position);
  }
  VectorValue output;
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    output.push_back({series.labels, series.drop_name, series.column.Copy()});
  }
  if (grid_.single_step()) {
    const bool descending = call.function->name == "sort_by_label_desc";
    const auto less = [&](const VectorSeries& a, const VectorSeries& b) {
      for (size_t i = 1; i < call.arguments.size(); ++i) {
        const std::string_view x = a.labels.Get(StringArgument(call, i));
        const std::string_view y = b.labels.Get(StringArgument(call, i));
        // Neither is less where one is missing, or both where they are "01" and "1": then the
        // order follows from the way of sorting.
        if (x != y) return NaturalLess(x, y) != descending;
      }
      return descending ? b.labels < a.labels : a.labels < b.labels;
    };
    const auto stop = [this] { return !CheckDone().ok(); };
    if (!PatternSort(std::span(output), less, stop)) return CheckDone();
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

}  // namespace narthex::promql
