// Which rules of a group may be evaluated at the same time.
//
// A rule depends on an earlier one when one of its selectors can match what that one writes: the
// name of a recording rule, or ALERTS and ALERTS_FOR_STATE of an alert. A selector without a name
// can match anything; a group with such a selector is evaluated in order.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "rules/rule.h"

namespace narthex::rules {

// Indices of rules by batch: those of one batch may run together, batches run one after the other.
// First all that depend on nothing, then one by one those in the middle of a chain, then those
// that nothing depends on. Empty: one after the other, in order.
std::vector<std::vector<size_t>> SplitIntoBatches(const std::vector<std::unique_ptr<Rule>>& rules);

}  // namespace narthex::rules
