// What a Pushgateway holds: groups of families, each named by its grouping labels.
//
// Families are immutable once stored, so that readers share them with the writer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "narthex/client/labels.h"
#include "narthex/client/metric_family.h"

namespace narthex::push {

using FamilyPtr = std::shared_ptr<const client::MetricFamily>;

struct StampedFamily {
  client::Timestamp time;  // Of the push that brought it.
  FamilyPtr family;
};

// The gauges that every group has, with upstream's names.
inline constexpr char kPushTimeName[] = "push_time_seconds";
inline constexpr char kPushFailureTimeName[] = "push_failure_time_seconds";

struct Group {
  client::Labels labels;  // Sorted by name.
  std::map<std::string, StampedFamily> families;
  // When the group goes by itself, milliseconds since the epoch; 0: never.
  int64_t expires_ms = 0;

  // Whether no push failed since the last one that succeeded.
  bool last_push_successful() const;
  size_t series_count() const;
};

// Key: GroupingKey().
using Groups = std::map<std::string, std::shared_ptr<const Group>>;

// Names and values of sorted labels, joined by the byte 0xFF: the key of upstream's state file.
std::string GroupingKey(const client::Labels& labels);

// Puts the grouping labels on every sample, adds `instance=""` where that label is missing, sorts.
void ForceLabels(const client::Labels& grouping_labels, client::MetricFamily* family);
bool HasTimestamps(const client::MetricFamily& family);
// The gauge `name` with the time as its value; nullopt: 0, never.
FamilyPtr MakeTimeGauge(const char* name, const client::Labels& grouping_labels,
                        std::optional<client::Timestamp> time);

}  // namespace narthex::push
