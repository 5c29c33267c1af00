// Relabelling: rules that rewrite, keep or drop label sets before they are scraped, stored, sent or
// alerted on.
//
// A list of rules runs in order over one LabelsBuilder. Each rule joins the values of its source
// labels with the separator, matches the result against an expression anchored on both sides and
// acts. Expressions are compiled once; the shapes that configurations are full of (anything,
// literals, alternations of literals, prefixes) are compared instead of run.
//
// Threads: a rule is immutable after Validate() and may be used from any number of threads.
// Specification: parity/config.md section 6.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "util/status.h"

namespace narthex {

// Which names are allowed for metrics and labels.
enum class NameValidation : uint8_t { kUnset, kLegacy, kUtf8 };
// "unset", "legacy", "utf8".
std::string_view NameValidationName(NameValidation scheme);
// kUnset is treated as kUtf8.
bool IsValidLabelName(NameValidation scheme, std::string_view name);
bool IsValidMetricName(NameValidation scheme, std::string_view name);

enum class RelabelAction : uint8_t {
  kUnset,  // An explicit null in the file; refused by Validate().
  kReplace,
  kKeep,
  kDrop,
  kKeepEqual,
  kDropEqual,
  kHashMod,
  kLabelMap,
  kLabelDrop,
  kLabelKeep,
  kLowercase,
  kUppercase,
};
// "replace", "keep", …; "" of kUnset.
std::string_view RelabelActionName(RelabelAction action);
// In any case. Error: `unknown relabel action "x"`.
Result<RelabelAction> ParseRelabelAction(std::string_view text);

// An expression of a rule: `^(?s:` + text + `)$` in Go's syntax. Copies share the program.
class RelabelRegex {
 public:
  // The default `(.*)`. A rule that leaves its expression out differs from one that writes `(.*)`:
  // only the former is left out when printed and takes the short cut for empty sources.
  RelabelRegex();
  // Errors in Go's words: `error parsing regexp: missing closing ): `^(?s:()$``.
  static Result<RelabelRegex> Compile(std::string_view text);

  bool is_default() const;
  const std::string& text() const;  // As written, without the anchors.
  bool Matches(std::string_view value) const;

  // Go's Regexp.Expand: on a match appends the `replacement` with $1, ${1}, $name, ${name}, $$
  // filled in; a name that takes no part in the match gives nothing. Returns whether it matched.
  bool ExpandMatch(std::string_view value, std::string_view replacement, std::string* out) const;
  // Expands two templates over one match.
  bool ExpandMatch(std::string_view value, std::string_view first, std::string* first_out,
                   std::string_view second, std::string* second_out) const;

  friend bool operator==(const RelabelRegex& a, const RelabelRegex& b) {
    return a.program_ == b.program_ || (a.text() == b.text() && a.is_default() == b.is_default());
  }

  struct Program;  // Defined in relabel.cc.

 private:
  explicit RelabelRegex(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

struct RelabelConfig {
  std::vector<std::string> source_labels;
  bool has_source_labels = false;  // The key was written, even as an empty list.
  std::string separator = ";";
  RelabelRegex regex;
  uint64_t modulus = 0;
  std::string target_label;
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::kReplace;
  // Not a key of its own: Validate() fills it from the surroundings.
  NameValidation name_validation = NameValidation::kUnset;

  // Upstream's checks and texts. `scheme` applies where name_validation is unset.
  Status Validate(NameValidation scheme);

  friend bool operator==(const RelabelConfig&, const RelabelConfig&) = default;
};

// Applies the rules in order. False: a rule says drop, and the builder is left as that rule found
// it.
bool Relabel(LabelsBuilder& labels, std::span<const RelabelConfig> rules);
// The same for a finished set; `*dropped` tells a dropped set from an empty one.
Labels Relabel(const Labels& labels, std::span<const RelabelConfig> rules, bool* dropped);

}  // namespace narthex
