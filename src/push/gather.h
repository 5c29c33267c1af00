// Joins what all groups hold, and what the gateway exposes of itself, into one consistent page.
//
// Rules and texts of errors are those of client_golang's Gatherers, which decide upstream whether a
// push is taken.
#pragma once

#include <string>
#include <vector>

#include "push/group.h"

namespace narthex::push {

struct GatheredPage {
  std::vector<client::MetricFamily> families;  // Sorted by name; series sorted by label values.
  std::vector<std::string> errors;             // What had to be left out, and why.

  // One error is its own text; several have a headline with their number.
  std::string error_text() const;
};

// `own` comes first and decides about type and help of its names. `newcomer`, when not null,
// decides about the type of its other names, though its series come last.
GatheredPage Gather(const std::vector<client::MetricFamily>& own, const Groups& groups,
                    const Group* newcomer = nullptr);

// Whether a family may stand on a page by itself: names, labels and kinds of values. What this
// takes, Gather() takes, unless another family is in the way.
bool IsSound(const client::MetricFamily& family);

}  // namespace narthex::push
