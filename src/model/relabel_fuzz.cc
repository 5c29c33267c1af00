// Feeds arbitrary expressions, templates and values to relabelling.
//
// The input is lines: expression, target, replacement, value. What the short cuts find must be what
// the engine finds, and a rule that was accepted must run.
#include <re2/re2.h>

#include <cstddef>
#include <cstdint>

#include "model/relabel.h"
#include "util/check.h"
#include "util/strings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> parts = Split(input, '\n');
  parts.resize(4);
  const Result<RelabelRegex> regex = RelabelRegex::Compile(parts[0]);
  if (!regex.ok()) return 0;

  const std::string_view value = parts[3];
  // The engine does not match malformed bytes with a dot, the short cuts do, as Go does.
  RE2::Options quiet;
  quiet.set_log_errors(false);
  const RE2 plain("^(?s:" + std::string(parts[0]) + ")$", quiet);
  if (plain.ok() && IsValidUtf8(value)) {
    NARTHEX_CHECK(RE2::FullMatch({value.data(), value.size()}, plain) == regex->Matches(value));
  }

  for (const RelabelAction action :
       {RelabelAction::kReplace, RelabelAction::kKeep, RelabelAction::kLabelMap,
        RelabelAction::kLabelDrop, RelabelAction::kLowercase}) {
    RelabelConfig rule;
    rule.action = action;
    rule.regex = *regex;
    rule.source_labels = {"a"};
    rule.target_label = parts[1];
    rule.replacement = parts[2];
    if (!rule.Validate(NameValidation::kUtf8).ok()) continue;
    bool dropped = false;
    const Labels output = Relabel(Labels{{"a", value}, {"b", "x"}}, {&rule, 1}, &dropped);
    // Every name that a rule made is a name.
    for (const LabelView& label : output) NARTHEX_CHECK(!label.value.empty());
  }
  return 0;
}
