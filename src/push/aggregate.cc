#include "push/aggregate.h"

#include <map>
#include <string>
#include <utility>

#include "narthex/client/exposition.h"
#include "util/strings.h"

namespace narthex::push {
namespace {

using client::HistogramValue;
using client::MetricValue;
using client::NativeBuckets;
using client::SummaryValue;

Status OtherBuckets(std::string_view name) {
  return MakeError(ErrorCode::kInvalidInput,
                   "cannot aggregate {}: the pushed histogram has other buckets than the stored "
                   "one",
                   GoQuote(name));
}

// Absolute counts by bucket index.
std::map<int64_t, double> Counts(const std::vector<client::BucketSpan>& spans,
                                 const std::vector<int64_t>& deltas,
                                 const std::vector<double>& counts) {
  std::map<int64_t, double> by_index;
  int64_t index = 0;
  size_t at = 0;
  int64_t running = 0;
  for (const client::BucketSpan& span : spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i, ++index, ++at) {
      if (at < deltas.size()) {
        running += deltas[at];
        by_index[index] += static_cast<double>(running);
      } else if (at < counts.size()) {
        by_index[index] += counts[at];
      }
    }
  }
  return by_index;
}

void Store(const std::map<int64_t, double>& by_index, bool integer,
           std::vector<client::BucketSpan>* spans, std::vector<int64_t>* deltas,
           std::vector<double>* counts) {
  spans->clear();
  deltas->clear();
  counts->clear();
  int64_t next = 0;
  int64_t previous = 0;
  for (const auto& [index, count] : by_index) {
    if (spans->empty() || index != next) {
      spans->push_back({static_cast<int32_t>(index - next), 0});
    }
    ++spans->back().length;
    next = index + 1;
    if (integer) {
      const auto whole = static_cast<int64_t>(count);
      deltas->push_back(whole - previous);
      previous = whole;
    } else {
      counts->push_back(count);
    }
  }
}

bool IsFloat(const HistogramValue& histogram) {
  return histogram.sample_count_float != 0 ||
         (histogram.native && (!histogram.native->positive_counts.empty() ||
                               !histogram.native->negative_counts.empty()));
}

Status AddNative(std::string_view name, bool integer, const NativeBuckets& pushed,
                 NativeBuckets* sum) {
  if (pushed.schema != sum->schema || pushed.zero_threshold != sum->zero_threshold) {
    return OtherBuckets(name);
  }
  sum->zero_count += pushed.zero_count;
  sum->zero_count_float += pushed.zero_count_float;
  const auto add = [integer](const auto& spans, const auto& deltas, const auto& counts,
                             auto* sum_spans, auto* sum_deltas, auto* sum_counts) {
    std::map<int64_t, double> total = Counts(*sum_spans, *sum_deltas, *sum_counts);
    for (const auto& [index, count] : Counts(spans, deltas, counts)) total[index] += count;
    Store(total, integer, sum_spans, sum_deltas, sum_counts);
  };
  add(pushed.positive_spans, pushed.positive_deltas, pushed.positive_counts, &sum->positive_spans,
      &sum->positive_deltas, &sum->positive_counts);
  add(pushed.negative_spans, pushed.negative_deltas, pushed.negative_counts, &sum->negative_spans,
      &sum->negative_deltas, &sum->negative_counts);
  sum->exemplars = pushed.exemplars;
  return {};
}

Result<MetricValue> Add(std::string_view name, const HistogramValue& stored,
                        const HistogramValue& pushed) {
  auto sum = std::make_shared<HistogramValue>(stored);
  if (stored.buckets.size() != pushed.buckets.size() ||
      stored.native.has_value() != pushed.native.has_value() ||
      IsFloat(stored) != IsFloat(pushed)) {
    return OtherBuckets(name);
  }
  sum->sample_count += pushed.sample_count;
  sum->sample_count_float += pushed.sample_count_float;
  sum->sample_sum += pushed.sample_sum;
  for (size_t i = 0; i < sum->buckets.size(); ++i) {
    client::Bucket& bucket = sum->buckets[i];
    const client::Bucket& more = pushed.buckets[i];
    if (bucket.upper_bound != more.upper_bound) return OtherBuckets(name);
    bucket.cumulative_count += more.cumulative_count;
    bucket.cumulative_count_float += more.cumulative_count_float;
    if (more.exemplar) bucket.exemplar = more.exemplar;
  }
  if (sum->native) {
    NARTHEX_RETURN_IF_ERROR(AddNative(name, !IsFloat(stored), *pushed.native, &*sum->native));
  }
  return MetricValue(std::shared_ptr<const HistogramValue>(std::move(sum)));
}

// Quantiles of two pushes cannot be joined: the newer ones stay.
MetricValue Add(const SummaryValue& stored, const SummaryValue& pushed) {
  auto sum = std::make_shared<SummaryValue>(pushed);
  sum->sample_count += stored.sample_count;
  sum->sample_sum += stored.sample_sum;
  sum->created = stored.created;
  return std::shared_ptr<const SummaryValue>(std::move(sum));
}

Result<MetricValue> AddValues(std::string_view name, const MetricValue& stored,
                              const MetricValue& pushed) {
  if (const auto* counter = std::get_if<client::CounterValue>(&stored)) {
    client::CounterValue sum = std::get<client::CounterValue>(pushed);
    sum.value += counter->value;
    sum.created = counter->created;
    return MetricValue(std::move(sum));
  }
  if (const auto* histogram = std::get_if<std::shared_ptr<const HistogramValue>>(&stored)) {
    return Add(name, **histogram, *std::get<std::shared_ptr<const HistogramValue>>(pushed));
  }
  if (const auto* summary = std::get_if<std::shared_ptr<const SummaryValue>>(&stored)) {
    return Add(**summary, *std::get<std::shared_ptr<const SummaryValue>>(pushed));
  }
  return pushed;
}

}  // namespace

Result<FamilyPtr> AddFamilies(const client::MetricFamily& stored,
                              const client::MetricFamily& pushed) {
  if (stored.type != pushed.type) {
    return MakeError(ErrorCode::kInvalidInput,
                     "cannot aggregate {}: the pushed family has another type than the stored one",
                     GoQuote(pushed.name));
  }
  auto sum = std::make_shared<client::MetricFamily>(pushed);
  std::map<std::vector<client::LabelPair>, client::Metric*> by_labels;
  for (client::Metric& metric : sum->metrics) {
    by_labels.emplace(std::vector(metric.labels.begin(), metric.labels.end()), &metric);
  }
  std::vector<client::Metric> only_stored;
  for (const client::Metric& metric : stored.metrics) {
    const auto it = by_labels.find(std::vector(metric.labels.begin(), metric.labels.end()));
    if (it == by_labels.end()) {
      only_stored.push_back(metric);
    } else if (it->second->value.index() == metric.value.index()) {
      NARTHEX_TRY(it->second->value, AddValues(pushed.name, metric.value, it->second->value));
    }
  }
  sum->metrics.insert(sum->metrics.end(), only_stored.begin(), only_stored.end());
  return FamilyPtr(std::move(sum));
}

}  // namespace narthex::push
