#include "push/gather.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <string_view>

#include "narthex/client/metric_checks.h"
#include "push/series_hash.h"
#include "util/strings.h"

namespace narthex::push {
namespace {

using client::Metric;
using client::MetricFamily;
using client::MetricType;

class Page {
 public:
  // Makes the family `name` stand, unless its name clashes with one that stands already.
  MetricFamily* Found(const MetricFamily& like) {
    if (const auto it = places_.find(like.name); it != places_.end()) {
      return &page_.families[it->second];
    }
    if (std::string clash = Clash(like); !clash.empty()) {
      page_.errors.push_back(std::move(clash));
      return nullptr;
    }
    places_.emplace(like.name, page_.families.size());
    page_.families.push_back({like.name, like.help, like.type, like.unit, {}});
    return &page_.families.back();
  }

  void AddSeries(MetricFamily* target, const MetricFamily& source) {
    for (const Metric& metric : source.metrics) {
      std::string complaint = client::CheckMetric(target->name, target->type, metric);
      if (complaint.empty() && !series_.insert(HashSeries(target->name, metric)).second) {
        complaint = client::DescribeCollected(target->name, metric) +
                    " was collected before with the same name and label values";
      }
      if (complaint.empty()) {
        target->metrics.push_back(metric);
      } else {
        page_.errors.push_back(std::move(complaint));
      }
    }
  }

  void Refuse(std::string error) { page_.errors.push_back(std::move(error)); }

  GatheredPage Finish() && {
    std::erase_if(page_.families,
                  [](const MetricFamily& family) { return family.metrics.empty(); });
    std::sort(page_.families.begin(), page_.families.end(),
              [](const MetricFamily& a, const MetricFamily& b) { return a.name < b.name; });
    for (MetricFamily& family : page_.families) {
      std::stable_sort(family.metrics.begin(), family.metrics.end(), client::MetricLess);
    }
    return std::move(page_);
  }

 private:
  const MetricFamily* Find(const std::string& name) const {
    const auto it = places_.find(name);
    return it == places_.end() ? nullptr : &page_.families[it->second];
  }

  // `x_count` beside a summary or histogram `x` would be the same series twice.
  std::string Clash(const MetricFamily& family) const {
    const std::string& name = family.name;
    for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
      if (!name.ends_with(suffix)) continue;
      const std::string base = name.substr(0, name.size() - suffix.size());
      const MetricFamily* other = Find(base);
      if (other == nullptr) continue;
      if (other->type == MetricType::kSummary && suffix != "_bucket") {
        return fmt::format(
            "collected metric named {} collides with previously collected summary "
            "named {}",
            GoQuote(name), GoQuote(base));
      }
      if (other->type == MetricType::kHistogram) {
        return fmt::format(
            "collected metric named {} collides with previously collected histogram "
            "named {}",
            GoQuote(name), GoQuote(base));
      }
    }
    if (family.type != MetricType::kSummary && family.type != MetricType::kHistogram) return {};
    for (const std::string_view suffix : {"_count", "_sum"}) {
      if (Find(name + std::string(suffix)) == nullptr) continue;
      return fmt::format(
          "collected histogram or summary named {} collides with previously "
          "collected metric named {}",
          GoQuote(name), GoQuote(name + std::string(suffix)));
    }
    if (family.type == MetricType::kHistogram && Find(name + "_bucket") != nullptr) {
      return fmt::format(
          "collected histogram named {} collides with previously collected metric "
          "named {}",
          GoQuote(name), GoQuote(name + "_bucket"));
    }
    return {};
  }

  GatheredPage page_;
  boost::unordered_flat_map<std::string, size_t> places_;
  boost::unordered_flat_set<SeriesHash, SeriesHash::Hasher> series_;
};

}  // namespace

std::string GatheredPage::error_text() const {
  if (errors.empty()) return {};
  if (errors.size() == 1) return errors.front();
  std::string text = fmt::format("{} error(s) occurred:", errors.size());
  for (const std::string& error : errors) text += "\n* " + error;
  return text;
}

bool IsSound(const MetricFamily& family) {
  if (family.name.empty() || !IsValidUtf8(family.name)) return false;
  return std::all_of(family.metrics.begin(), family.metrics.end(), [&](const Metric& metric) {
    return client::CheckMetric(family.name, family.type, metric).empty();
  });
}

GatheredPage Gather(const std::vector<MetricFamily>& own, const Groups& groups,
                    const Group* newcomer) {
  Page page;
  boost::unordered_flat_map<std::string_view, const MetricFamily*> predefined;
  for (const MetricFamily& family : own) {
    predefined.emplace(family.name, &family);
    if (MetricFamily* target = page.Found(family)) page.AddSeries(target, family);
  }
  // Names first, since the newcomer's types count, then all series in the order of the groups.
  const auto for_each = [&](const auto& visit) {
    for (const auto& [key, group] : groups) {
      for (const auto& [name, stamped] : group->families) visit(*stamped.family);
    }
    if (newcomer == nullptr) return;
    for (const auto& [name, stamped] : newcomer->families) visit(*stamped.family);
  };
  boost::unordered_flat_map<std::string_view, const MetricFamily*> heads;
  if (newcomer != nullptr) {
    for (const auto& [name, stamped] : newcomer->families) heads.emplace(name, &*stamped.family);
  }
  for_each([&](const MetricFamily& family) { heads.emplace(family.name, &family); });

  boost::unordered_flat_set<std::string_view> refused;
  for_each([&](const MetricFamily& family) {
    if (refused.contains(family.name) || family.metrics.empty()) return;
    const MetricFamily& head = *heads.find(family.name)->second;
    const auto known = predefined.find(family.name);
    if (known != predefined.end() && known->second->type != head.type) {
      page.Refuse(fmt::format("gathered metric family {} has type {} but should have {}",
                              family.name, client::MetricTypeName(head.type),
                              client::MetricTypeName(known->second->type)));
      refused.insert(family.name);
      return;
    }
    MetricFamily* target = page.Found(head);
    if (target == nullptr) {
      refused.insert(family.name);
      return;
    }
    page.AddSeries(target, family);
  });
  return std::move(page).Finish();
}

}  // namespace narthex::push
