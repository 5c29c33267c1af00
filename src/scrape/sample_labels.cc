// Labels of samples: joining with the target's, relabelling, families.
#include <algorithm>

#include "model/relabel.h"
#include "scrape/target_scraper.h"

namespace narthex::scrape {
namespace {

constexpr std::string_view kExportedPrefix = "exported_";

std::string_view CutSuffix(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

}  // namespace

Labels MutateSampleLabels(const Labels& exposed, const Labels& target, bool honor_labels,
                          std::span<const RelabelConfig> relabel, bool* dropped) {
  *dropped = false;
  LabelsBuilder builder(exposed);
  std::vector<LabelView> conflicts;
  for (const LabelView& label : target) {
    const std::string_view existing = exposed.Get(label.name);
    if (existing.empty()) {
      builder.Set(label.name, label.value);
    } else if (!honor_labels) {
      conflicts.push_back({label.name, existing});
      builder.Set(label.name, label.value);
    }
  }
  // Short names first: a longer one may be what a short one becomes with its prefix.
  std::stable_sort(conflicts.begin(), conflicts.end(), [](const LabelView& a, const LabelView& b) {
    return a.name.size() < b.name.size();
  });
  for (const LabelView& conflict : conflicts) {
    std::string name(conflict.name);
    do {
      name.insert(0, kExportedPrefix);
    } while (!builder.Get(name).empty());
    builder.Set(name, conflict.value);
  }
  if (!Relabel(builder, relabel)) {
    *dropped = true;
    return {};
  }
  Labels labels = builder.Build();
  *dropped = labels.empty();
  return labels;
}

bool IsSeriesOfFamily(std::string_view series_name, std::string_view family, MetricType type) {
  if (!series_name.starts_with(family)) return false;
  const auto one_of = [&](std::initializer_list<std::string_view> suffixes) {
    for (const std::string_view suffix : suffixes) {
      if (series_name.ends_with(suffix)) return CutSuffix(series_name, suffix) == family;
    }
    return series_name == family;
  };
  switch (type) {
    case MetricType::kCounter:
      // In the text format the family carries the suffix, too.
      family = CutSuffix(family, "_total");
      return one_of({"_total"});
    case MetricType::kHistogram: return one_of({"_bucket", "_sum", "_count"});
    case MetricType::kGaugeHistogram: return one_of({"_bucket", "_gsum", "_gcount"});
    case MetricType::kSummary: return one_of({"_sum", "_count"});
    case MetricType::kInfo: family = CutSuffix(family, "_info"); return one_of({"_info"});
    default: return series_name == family;
  }
}

}  // namespace narthex::scrape
