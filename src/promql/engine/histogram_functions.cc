// histogram_*() functions over native and classic histograms.
#include <bit>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "promql/engine/evaluator.h"
#include "promql/engine/quantile.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

// Of working on one histogram, as CancelTicker counts.
constexpr size_t kHistogramCost = 64;

// An instant vector taken apart: series with native histograms, and groups of classic buckets that
// differ in `le` only. Where both describe the same histogram at a step, neither counts.
class HistogramInput {
 public:
  HistogramInput(const VectorValue& vector, size_t steps, PositionRange position, bool named,
                 Annotations* annotations, const Cancellation& cancellation)
      : ticker_(cancellation, steps, kHistogramCost),
        vector_(vector),
        steps_(steps),
        position_(position),
        named_(named),
        annotations_(annotations),
        by_le_({std::string(kBucketLabel)}, /*keep=*/false),
        index_(&by_le_) {
    for (size_t i = 0; i < vector_.size(); ++i) AddSeries(i);
    DropConflicts();
  }

  // One output series for each native one: fn(histogram, metric, step).
  template <typename Labeler, typename Fn>
  Status Native(Labeler&& labels, Fn&& fn, VectorValue* out) {
    for (const NativeSeries& native : natives_) {
      NARTHEX_RETURN_IF_ERROR(ticker_.Tick());
      const VectorSeries& series = vector_[native.series];
      const std::string_view metric = MetricOf(series.labels);
      StepColumn column(steps_);
      series.column.ForEach([&](size_t step) {
        const HistogramPtr& histogram = series.column.histogram(step);
        if (histogram == nullptr || native.conflicts.has(step)) return;
        column.Set(step, fn(*histogram, metric, step));
      });
      if (!column.empty()) out->push_back({labels(series.labels), true, std::move(column)});
    }
    return {};
  }

  // One output series for each group: fn(buckets, metric, step).
  template <typename Labeler, typename Fn>
  Status Classic(Labeler&& labels, Fn&& fn, VectorValue* out) {
    std::vector<ClassicBucket> buckets;
    for (size_t g = 0; g < groups_.size(); ++g) {
      NARTHEX_RETURN_IF_ERROR(ticker_.Tick());
      const Group& group = groups_[g];
      const Labels projected = by_le_.Project(index_.representative(g));
      const std::string_view metric = MetricOf(projected);
      StepColumn column(steps_);
      for (size_t step = 0; step < steps_; ++step) {
        if (group.conflicts.has(step)) continue;
        buckets.clear();
        for (const Bucket& bucket : group.buckets) {
          const StepColumn& from = vector_[bucket.series].column;
          if (from.has(step) && from.histogram(step) == nullptr) {
            buckets.push_back({bucket.upper_bound, from.value(step)});
          }
        }
        if (!buckets.empty()) column.Set(step, fn(&buckets, metric, step));
      }
      if (!column.empty()) out->push_back({labels(projected), true, std::move(column)});
    }
    return {};
  }

 private:
  CancelTicker ticker_;

  struct NativeSeries {
    size_t series;
    StepColumn conflicts;
  };
  struct Bucket {
    size_t series;
    double upper_bound;
  };
  struct Group {
    std::vector<Bucket> buckets;
    StepColumn conflicts;
  };

  std::string_view MetricOf(const Labels& labels) const {
    return named_ ? labels.metric_name() : std::string_view();
  }

  void AddSeries(size_t i) {
    const VectorSeries& series = vector_[i];
    bool floats = false;
    bool histograms = false;
    series.column.ForEach([&](size_t step) {
      (series.column.histogram(step) == nullptr ? floats : histograms) = true;
    });
    if (histograms) natives_.push_back({i, StepColumn(steps_)});
    if (!floats) return;
    const std::string_view le = series.labels.Get(kBucketLabel);
    bool out_of_range = false;
    const std::optional<double> bound = ParseFloat(le, &out_of_range);
    if (!bound.has_value() || out_of_range || std::isnan(*bound)) {
      annotations_->Warn("bucket label \"le\" is missing or has a malformed value of " +
                             GoQuote(le) + ForMetric(MetricOf(series.labels)),
                         position_);
      return;
    }
    const size_t group = index_.Add(series.labels);
    if (group == groups_.size()) groups_.push_back({{}, StepColumn(steps_)});
    groups_[group].buckets.push_back({i, *bound});
  }

  void DropConflicts() {
    if (natives_.empty() || groups_.empty()) return;
    for (NativeSeries& native : natives_) {
      const VectorSeries& series = vector_[native.series];
      if (series.labels.Has(kBucketLabel)) continue;
      for (size_t g = 0; g < groups_.size(); ++g) {
        if (!by_le_.SameProjection(index_.representative(g), series.labels)) continue;
        series.column.ForEach([&](size_t step) {
          if (series.column.histogram(step) == nullptr || !HasBuckets(groups_[g], step)) return;
          annotations_->Warn("vector contains a mix of classic and native histograms" +
                                 ForMetric(MetricOf(series.labels)),
                             position_);
          native.conflicts.Set(step, 1);
          groups_[g].conflicts.Set(step, 1);
        });
      }
    }
  }

  bool HasBuckets(const Group& group, size_t step) const {
    for (const Bucket& bucket : group.buckets) {
      const StepColumn& column = vector_[bucket.series].column;
      if (column.has(step) && column.histogram(step) == nullptr) return true;
    }
    return false;
  }

  const VectorValue& vector_;
  size_t steps_;
  PositionRange position_;
  bool named_;
  Annotations* annotations_;
  LabelProjection by_le_;
  ProjectionIndex index_;
  std::vector<NativeSeries> natives_;
  std::vector<Group> groups_;
};

// The fixes of forced monotonicity in one call, step by step.
//
// Upstream merges what a call has collected so far into itself at every step, so that the number
// of samples it tells doubles with each step after the first fix, and wraps around. Where an
// argument brought the same info along, the call's own sum is added at every step instead.
class MonotonicityFixes {
 public:
  void Add(std::string_view metric, size_t step, int64_t time_ms,
           const BucketQuantileResult& result) {
    if (!result.forced_monotonic) return;
    const MonotonicityFix fix{.samples = 1,
                              .time_min_ms = time_ms,
                              .time_max_ms = time_ms,
                              .bucket_min = result.bucket_min,
                              .bucket_max = result.bucket_max,
                              .diff_max = result.diff_max};
    const auto [at, first] = by_metric_.try_emplace(std::string(metric), Fixes{fix, {}});
    if (!first) at->second.joined.Add(fix);
    ++at->second.samples[step];
  }

  void Tell(size_t steps, PositionRange position, const Annotations& arguments,
            Annotations* annotations) const {
    for (const auto& [metric, fixes] : by_metric_) {
      const bool told = arguments.HasForcedMonotonicity(metric);
      uint64_t own = 0;
      uint64_t merged = 0;
      bool begun = false;
      for (size_t step = fixes.samples.begin()->first; step < steps; ++step) {
        const auto here = fixes.samples.find(step);
        if (here != fixes.samples.end()) own += here->second;
        if (told) {
          merged += own;
        } else {
          if (begun) own *= 2;
          merged = own;
        }
        begun = true;
      }
      MonotonicityFix fix = fixes.joined;
      fix.samples = merged;
      annotations->ForcedMonotonicity(metric, position, fix);
    }
  }

 private:
  struct Fixes {
    MonotonicityFix joined;
    std::map<size_t, uint64_t> samples;  // By step.
  };
  std::map<std::string, Fixes> by_metric_;
};

}  // namespace

// histogram_count, _sum, _avg, _stddev, _stdvar: native histograms only.
Result<Value> Evaluator::EvalHistogramFloat(const Call& call) {
  const std::string_view name = call.function->name;
  double (*fn)(const FloatHistogram&) = nullptr;
  if (name == "histogram_count") fn = [](const FloatHistogram& h) { return h.count; };
  if (name == "histogram_sum") fn = [](const FloatHistogram& h) { return h.sum; };
  if (name == "histogram_avg") fn = [](const FloatHistogram& h) { return h.sum / h.count; };
  if (name == "histogram_stdvar") fn = [](const FloatHistogram& h) { return HistogramVariance(h); };
  if (name == "histogram_stddev") {
    fn = [](const FloatHistogram& h) { return std::sqrt(HistogramVariance(h)); };
  }
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value input, Eval(*call.arguments[0]));
  VectorValue output;
  for (const VectorSeries& series : input.vector) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    if (!series.column.has_histograms()) continue;
    StepColumn column(steps_);
    series.column.ForEach([&](size_t step) {
      const HistogramPtr& histogram = series.column.histogram(step);
      if (histogram != nullptr) column.Set(step, fn(*histogram));
    });
    output.push_back({ResultLabels(series.labels), true, std::move(column)});
  }
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

Result<Value> Evaluator::EvalHistogramQuantile(const Call& call) {
  const int64_t before = query_->current_samples;
  Annotations outside = std::exchange(query_->annotations, {});
  NARTHEX_TRY(const Value q, Eval(*call.arguments[0]));
  NARTHEX_TRY(const Value input, Eval(*call.arguments[1]));
  const Annotations inside = std::exchange(query_->annotations, std::move(outside));
  const PositionRange position = call.arguments[1]->position;
  Annotations* annotations = &query_->annotations;
  annotations->Merge(inside);
  MonotonicityFixes fixes;
  for (const double quantile : q.scalar) {
    if (std::isnan(quantile) || quantile < 0 || quantile > 1) {
      annotations->InvalidQuantile(quantile, call.arguments[0]->position);
    }
  }
  HistogramInput histograms(input.vector, steps_, position, query_->delayed_name_removal,
                            annotations, query_->cancellation);
  const auto labels = [this](const Labels& from) { return ResultLabels(from); };
  VectorValue output;
  NARTHEX_RETURN_IF_ERROR(histograms.Native(
      labels,
      [&](const FloatHistogram& histogram, std::string_view metric, size_t step) {
        return HistogramQuantile(q.scalar[step], histogram, metric, position, annotations);
      },
      &output));
  NARTHEX_RETURN_IF_ERROR(histograms.Classic(
      labels,
      [&](std::vector<ClassicBucket>* buckets, std::string_view metric, size_t step) {
        const BucketQuantileResult result = BucketQuantile(q.scalar[step], buckets);
        fixes.Add(metric, step, grid_.TimeAt(step), result);
        return result.value;
      },
      &output));
  fixes.Tell(steps_, position, inside, annotations);
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 1);
}

Result<Value> Evaluator::EvalHistogramFraction(const Call& call) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value lower, Eval(*call.arguments[0]));
  NARTHEX_TRY(const Value upper, Eval(*call.arguments[1]));
  NARTHEX_TRY(const Value input, Eval(*call.arguments[2]));
  const PositionRange position = call.arguments[2]->position;
  HistogramInput histograms(input.vector, steps_, position, query_->delayed_name_removal,
                            &query_->annotations, query_->cancellation);
  const auto labels = [this](const Labels& from) { return ResultLabels(from); };
  VectorValue output;
  NARTHEX_RETURN_IF_ERROR(histograms.Native(
      labels,
      [&](const FloatHistogram& histogram, std::string_view metric, size_t step) {
        return HistogramFraction(lower.scalar[step], upper.scalar[step], histogram, metric,
                                 position, &query_->annotations);
      },
      &output));
  NARTHEX_RETURN_IF_ERROR(histograms.Classic(
      labels,
      [&](std::vector<ClassicBucket>* buckets, std::string_view, size_t step) {
        return BucketFraction(lower.scalar[step], upper.scalar[step], buckets);
      },
      &output));
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, 2);
}

Result<Value> Evaluator::EvalHistogramQuantiles(const Call& call) {
  const int64_t before = query_->current_samples;
  Annotations outside = std::exchange(query_->annotations, {});
  NARTHEX_TRY(const Value input, Eval(*call.arguments[0]));
  const std::string& label = call.arguments[1]->As<StringLiteral>().value;
  std::vector<std::vector<double>> quantiles;
  Annotations* annotations = &query_->annotations;
  MonotonicityFixes fixes;
  for (size_t i = 2; i < call.arguments.size(); ++i) {
    NARTHEX_TRY(Value q, Eval(*call.arguments[i]));
    for (const double quantile : q.scalar) {
      if (std::isnan(quantile) || quantile < 0 || quantile > 1) {
        annotations->InvalidQuantile(quantile, call.arguments[i]->position);
      }
    }
    quantiles.push_back(std::move(q.scalar));
  }
  const Annotations inside = std::exchange(query_->annotations, std::move(outside));
  annotations->Merge(inside);
  const PositionRange position = call.arguments[0]->position;
  HistogramInput histograms(input.vector, steps_, position, query_->delayed_name_removal,
                            annotations, query_->cancellation);
  VectorValue output;
  MemoryHold memory = HoldMemory();
  for (size_t argument = 0; argument < quantiles.size(); ++argument) {
    const std::vector<double>& q = quantiles[argument];
    // The label follows the value, which may change with the steps; then each value makes its own
    // series.
    std::vector<double> distinct;
    const auto same = [](double a, double b) {
      return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
             (std::isnan(a) && std::isnan(b));
    };
    for (const double value : q) {
      bool known = false;
      for (const double other : distinct) known = known || same(value, other);
      if (!known) distinct.push_back(value);
    }
    for (const double value : distinct) {
      VectorValue one;
      const auto labels = [&](const Labels& from) {
        LabelsBuilder builder(ResultLabels(from));
        builder.Set(label, std::isnan(value) ? "NaN" : FormatOpenMetricsFloat(value));
        return builder.Build();
      };
      NARTHEX_RETURN_IF_ERROR(histograms.Native(
          labels,
          [&](const FloatHistogram& histogram, std::string_view metric, size_t step) {
            if (!same(q[step], value)) return 0.0;
            return HistogramQuantile(value, histogram, metric, position, annotations);
          },
          &one));
      NARTHEX_RETURN_IF_ERROR(histograms.Classic(
          labels,
          [&](std::vector<ClassicBucket>* buckets, std::string_view metric, size_t step) {
            if (!same(q[step], value)) return 0.0;
            // The quantiles of one step share their buckets, which the ones before have repaired.
            for (size_t i = 0; i < argument; ++i) {
              const double earlier = quantiles[i][step];
              if (!BucketQuantile(earlier, buckets).repaired && earlier >= 0 && earlier <= 1) break;
            }
            const BucketQuantileResult result = BucketQuantile(value, buckets);
            fixes.Add(metric, step, grid_.TimeAt(step), result);
            return result.value;
          },
          &one));
      for (VectorSeries& series : one) {
        for (size_t step = 0; distinct.size() > 1 && step < steps_; ++step) {
          if (!same(q[step], value)) series.column.Clear(step);
        }
        if (memory.counting()) NARTHEX_RETURN_IF_ERROR(memory.Grow(MemoryOf(series)));
        output.push_back(std::move(series));
      }
    }
  }
  fixes.Tell(steps_, position, inside, annotations);
  const VectorValue* const inputs[] = {&input.vector};
  return FinishVector(std::move(output), before, inputs, quantiles.size());
}

}  // namespace narthex::promql
