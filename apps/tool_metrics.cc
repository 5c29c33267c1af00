// `check metrics`: good manners of metrics, and which of them have most series.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <utility>
#include <variant>

#include "apps/tool_check.h"
#include "narthex/client/metric_family.h"
#include "narthex/client/text_reader.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

using client::MetricFamily;
using client::MetricType;
using Problems = std::vector<std::string>;

struct Unit {
  std::string_view name;
  std::string_view base;
};
constexpr Unit kUnits[] = {
    {"amperes", "amperes"}, {"bytes", "bytes"},        {"celsius", "celsius"},
    {"grams", "grams"},     {"joules", "joules"},      {"kelvin", "kelvin"},
    {"meters", "meters"},   {"metres", "metres"},      {"seconds", "seconds"},
    {"volts", "volts"},     {"minutes", "seconds"},    {"hours", "seconds"},
    {"days", "seconds"},    {"weeks", "seconds"},      {"kelvins", "kelvin"},
    {"rankine", "celsius"}, {"fahrenheit", "celsius"}, {"inches", "meters"},
    {"yards", "meters"},    {"miles", "meters"},       {"bits", "bytes"},
    {"calories", "joules"}, {"pounds", "grams"},       {"ounces", "grams"},
};
constexpr std::string_view kUnitPrefixes[] = {"pico", "nano",  "micro", "milli", "centi", "deci",
                                              "deca", "hecto", "kilo",  "kibi",  "mega",  "mebi",
                                              "giga", "gibi",  "tera",  "tebi",  "peta",  "pebi"};
constexpr std::string_view kAbbreviations[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                               "mb", "gb", "tb", "pb", "m",   "h", "d"};

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kSummary: return "summary";
    case MetricType::kHistogram: return "histogram";
    case MetricType::kGaugeHistogram: return "gauge_histogram";
    default: return "untyped";
  }
}

std::string_view BaseUnitOf(std::string_view word) {
  for (const Unit& unit : kUnits) {
    if (unit.name == word) return unit.base;
  }
  return {};
}

// "_word_" somewhere, or "_word" at the end.
bool HasWord(std::string_view name, std::string_view word) {
  const std::string with_line = "_" + std::string(word);
  return name.ends_with(with_line) || name.find(with_line + "_") != std::string_view::npos;
}

bool IsCamelCase(std::string_view name) {
  for (size_t i = 1; i < name.size(); ++i) {
    const char before = name[i - 1];
    if (before >= 'a' && before <= 'z' && name[i] >= 'A' && name[i] <= 'Z') return true;
  }
  return false;
}

void LintUnits(std::string_view name, Problems* problems) {
  for (const std::string_view word : Split(name, '_')) {
    std::string_view base = BaseUnitOf(word);
    for (const std::string_view prefix : kUnitPrefixes) {
      if (!base.empty()) break;
      if (word.starts_with(prefix)) base = BaseUnitOf(word.substr(prefix.size()));
    }
    if (base.empty()) continue;
    if (base != word) {
      problems->push_back("use base unit " + GoQuote(base) + " instead of " + GoQuote(word));
    }
    return;
  }
}

void LintType(const MetricFamily& family, Problems* problems) {
  const bool counter = family.type == MetricType::kCounter;
  const bool total = family.name.ends_with("_total");
  if (counter && !total) problems->push_back("counter metrics should have \"_total\" suffix");
  if (family.type == MetricType::kUntyped) return;
  if (!counter && total) {
    problems->push_back("non-counter metrics should not have \"_total\" suffix");
  }
  const std::string_view type = TypeName(family.type);
  if (HasWord(ToLower(family.name), type)) {
    problems->push_back(fmt::format("metric name should not include type '{}'", type));
  }
  const bool histogram = family.type == MetricType::kHistogram;
  const bool summary = family.type == MetricType::kSummary;
  if (!histogram && family.name.ends_with("_bucket")) {
    problems->push_back("non-histogram metrics should not have \"_bucket\" suffix");
  }
  for (const char* suffix : {"_count", "_sum"}) {
    if (histogram || summary || !family.name.ends_with(suffix)) continue;
    problems->push_back(
        fmt::format("non-histogram and non-summary metrics should not have \"{}\" suffix", suffix));
  }
  for (const client::Metric& metric : family.metrics) {
    for (const client::LabelPair& label : metric.labels) {
      if (!histogram && label.name == "le") {
        problems->push_back("non-histogram metrics should not have \"le\" label");
      }
      if (!summary && label.name == "quantile") {
        problems->push_back("non-summary metrics should not have \"quantile\" label");
      }
    }
  }
}

void LintNames(const MetricFamily& family, Problems* problems) {
  if (family.name.find(':') != std::string::npos) {
    problems->push_back("metric names should not contain ':'");
  }
  if (IsCamelCase(family.name)) {
    problems->push_back("metric names should be written in 'snake_case' not 'camelCase'");
  }
  for (const client::Metric& metric : family.metrics) {
    for (const client::LabelPair& label : metric.labels) {
      if (!IsCamelCase(label.name)) continue;
      problems->push_back("label names should be written in 'snake_case' not 'camelCase'");
    }
  }
  const std::string lower = ToLower(family.name);
  for (const std::string_view abbreviation : kAbbreviations) {
    if (HasWord(lower, abbreviation)) {
      problems->push_back("metric names should not contain abbreviated units");
    }
  }
}

void LintDuplicates(const MetricFamily& family, Problems* problems) {
  std::map<client::Labels, size_t> counts;
  for (const client::Metric& metric : family.metrics) {
    ++counts[client::Labels(metric.labels.begin(), metric.labels.end())];
  }
  for (const auto& [labels, count] : counts) {
    problems->insert(problems->end(), count - 1, "metric not unique");
  }
}

Problems LintFamily(const MetricFamily& family) {
  Problems problems;
  if (!family.help) problems.push_back("no help text");
  LintUnits(family.name, &problems);
  LintType(family, &problems);
  LintNames(family, &problems);
  LintDuplicates(family, &problems);
  std::sort(problems.begin(), problems.end());
  return problems;
}

// Series that the family's metrics are in the text format, taking the first for all.
size_t CardinalityOf(const MetricFamily& family) {
  if (family.metrics.empty()) return 0;
  const client::MetricValue& first = family.metrics.front().value;
  size_t each = 1;
  if (const auto* histogram = std::get_if<std::shared_ptr<const client::HistogramValue>>(&first)) {
    each = 2 + (*histogram)->buckets.size();
  } else if (const auto* summary =
                 std::get_if<std::shared_ptr<const client::SummaryValue>>(&first)) {
    each = 2 + (*summary)->quantiles.size();
  }
  return family.metrics.size() * each;
}

void PrintCardinalities(const std::vector<MetricFamily>& families) {
  std::vector<std::pair<size_t, std::string_view>> sizes;
  size_t total = 0;
  for (const MetricFamily& family : families) {
    sizes.emplace_back(CardinalityOf(family), family.name);
    total += sizes.back().first;
  }
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::vector<std::string>> rows = {{"Metric", "Cardinality", "Percentage"}};
  for (const auto& [size, name] : sizes) {
    rows.push_back(
        {std::string(name), std::to_string(size),
         fmt::format("{:.2f}%", 100 * static_cast<double>(size) / static_cast<double>(total))});
  }
  rows.push_back({"Total", std::to_string(total), "100%"});
  PrintOut(AlignColumns(rows, 4, 4, /*pad_last=*/true));
}

}  // namespace

int CheckMetrics(bool extended, const std::string& lint) {
  if (!extended && lint == "none") {
    PrintError(
        "error: at least one of --extended or linting must be enabled\n"
        "Use --extended for cardinality analysis, or remove --lint=none to enable linting\n");
    return 1;
  }
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  const auto families = client::ReadText(text);
  if (!families.ok()) {
    PrintError((lint != "none" ? "error while linting: "
                               : "error while parsing text to metric families: ") +
               families.status().message() + "\n");
    return 1;
  }
  bool problems = false;
  if (lint != "none") {
    for (const MetricFamily& family : *families) {
      for (const std::string& problem : LintFamily(family)) {
        PrintError(family.name + " " + problem + "\n");
        problems = true;
      }
    }
  }
  if (extended) PrintCardinalities(*families);
  return problems ? kLintExitCode : 0;
}

}  // namespace narthex::apps
