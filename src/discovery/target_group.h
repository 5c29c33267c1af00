// Target groups: what discovery finds, before relabelling.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/values.h"
#include "util/status.h"

namespace narthex {

inline constexpr std::string_view kAddressLabel = "__address__";

// The labels of one target; at least __address__. Sorted by name once Normalize() ran.
using TargetLabels = std::vector<std::pair<std::string, std::string>>;

// Targets with common labels. Immutable once published; shared by every set that uses it.
struct TargetGroup {
  // Identifies the group among those of its provider: the next group with the same source replaces
  // it, and one without targets removes it.
  std::string source;
  TextMap labels;  // Apply to every target that does not set the same label.
  std::vector<TargetLabels> targets;

  friend bool operator==(const TargetGroup&, const TargetGroup&) = default;
};
using TargetGroupPtr = std::shared_ptr<const TargetGroup>;

// A target with nothing but an address.
TargetLabels AddressOnly(std::string_view address);
// A target of labels gathered in a map, where a name that is set twice keeps the last value.
TargetLabels ToTarget(TextMap labels);
// The value of a label, or "".
std::string_view GetLabel(const TargetLabels& labels, std::string_view name);

// Replaces every character outside [a-zA-Z0-9_] by '_' (one for each byte), so that names found
// outside can end a label name.
std::string SanitizeLabelName(std::string_view name);

// net.JoinHostPort: hosts with a colon get brackets.
std::string JoinHostPort(std::string_view host, std::string_view port);
std::string JoinHostPort(std::string_view host, int64_t port);
// ",a,b,": how lists become one label that regular expressions can look into.
std::string WrapList(const std::vector<std::string>& parts, std::string_view separator);
// The label of a list, which an empty list does not get.
void SetList(std::string label, const std::vector<std::string>& parts, std::string_view separator,
             TextMap* labels);

// The file format of file and http discovery: a list of {targets, labels}. Unknown keys are errors,
// in upstream's words. Sources are left empty.
Result<std::vector<TargetGroup>> ParseTargetGroupsJson(std::string_view json);
Result<std::vector<TargetGroup>> ParseTargetGroupsYaml(std::string_view yaml);

}  // namespace narthex
