#include "gather.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "narthex/client/detail/metric_core.h"
#include "narthex/client/exposition.h"
#include "narthex/client/metric_checks.h"
#include "narthex/client/names.h"
#include "utf8.h"

namespace narthex::client {
namespace {

LabelSet Sorted(const LabelSet& labels) {
  if (std::is_sorted(labels.begin(), labels.end())) return labels;
  Labels pairs(labels.begin(), labels.end());
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

struct SameSeries {
  bool operator()(const Metric* a, const Metric* b) const {
    if (a->timestamp_ms != b->timestamp_ms) return a->timestamp_ms < b->timestamp_ms;
    return std::lexicographical_compare(a->labels.begin(), a->labels.end(), b->labels.begin(),
                                        b->labels.end());
  }
};

}  // namespace

void Gatherer::Add(MetricFamily family, bool trusted) {
  if (family.metrics.empty()) return;
  parts_.push_back({{std::move(family), nullptr}, trusted});
}

void Gatherer::Add(std::shared_ptr<detail::FamilyCore> family) {
  if (family->size() == 0) return;
  MetricFamily header = family->Header();
  parts_.push_back({{std::move(header), std::move(family)}, true});
}

const MetricFamily* Gatherer::FindResult(const std::string& name) const {
  // items are in order while parts_ are walked in order.
  const auto it = std::lower_bound(
      page_.items.begin(), page_.items.end(), name,
      [](const Item& item, const std::string& wanted) { return item.family.name < wanted; });
  return it != page_.items.end() && it->family.name == name ? &it->family : nullptr;
}

// `x_count` beside a summary or histogram `x` would be the same series twice. As x sorts before
// x_count, the family that is in already is the histogram.
bool Gatherer::CollidesWithSuffix(const MetricFamily& family) {
  for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
    const std::string& name = family.name;
    if (name.size() <= suffix.size() ||
        name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
      continue;
    }
    const std::string base = name.substr(0, name.size() - suffix.size());
    const MetricFamily* other = FindResult(base);
    if (other == nullptr) continue;
    const bool histogram =
        other->type == MetricType::kHistogram || other->type == MetricType::kGaugeHistogram;
    if (histogram || (other->type == MetricType::kSummary && suffix != "_bucket")) {
      page_.errors.push_back("collected metric named " + Quote(name) +
                             " collides with previously collected " +
                             (histogram ? "histogram" : "summary") + " named " + Quote(base));
      return true;
    }
  }
  return false;
}

void Gatherer::Merge(size_t begin, size_t end) {
  MetricFamily& first = parts_[begin].item.family;
  if (CollidesWithSuffix(first)) return;
  if (end - begin == 1 && parts_[begin].trusted) {
    page_.items.push_back(std::move(parts_[begin].item));
    return;
  }
  MetricFamily merged{first.name, first.help, first.type, first.unit, {}};
  std::set<const Metric*, SameSeries> seen;
  for (size_t i = begin; i < end; ++i) {
    MetricFamily& part = parts_[i].item.family;
    if (detail::FamilyCore* const unread = parts_[i].item.unread.get()) {
      for (detail::FamilyCore::Cursor cursor; !cursor.done;) {
        unread->CollectSome(cursor, part.metrics);
      }
    }
    for (Metric& metric : part.metrics) {
      metric.labels = Sorted(metric.labels);
      std::string error;
      if (part.help != merged.help) {
        std::string text;
        WriteProtobufCompactMetric(metric, text);
        error = "collected metric " + part.name + " " + text + " has help " +
                Quote(part.help.value_or("")) + " but should have " +
                Quote(merged.help.value_or(""));
      } else {
        error = CheckMetric(part.name, merged.type, metric);
      }
      if (error.empty() && !seen.insert(&metric).second) {
        error = DescribeCollected(part.name, metric) +
                " was collected before with the same name and label values";
      }
      if (!error.empty()) page_.errors.push_back(std::move(error));
    }
  }
  merged.metrics.reserve(seen.size());
  for (const Metric* metric : seen) merged.metrics.push_back(*metric);
  if (merged.metrics.empty()) return;
  std::stable_sort(merged.metrics.begin(), merged.metrics.end(), MetricLess);
  page_.items.push_back({std::move(merged), nullptr});
}

Gatherer::Page Gatherer::Finish() && {
  std::stable_sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) {
    return a.item.family.name < b.item.family.name;
  });
  for (size_t begin = 0; begin < parts_.size();) {
    size_t end = begin + 1;
    while (end < parts_.size() && parts_[end].item.family.name == parts_[begin].item.family.name)
      ++end;
    if (IsValidMetricName(parts_[begin].item.family.name, NameValidation::kUtf8)) {
      Merge(begin, end);
    } else {
      page_.errors.push_back(Quote(parts_[begin].item.family.name) + " is not a valid metric name");
    }
    begin = end;
  }
  return std::move(page_);
}

}  // namespace narthex::client
