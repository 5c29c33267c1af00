#include "web/query_json.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "model/float_histogram_ops.h"
#include "promql/engine/query_log.h"

namespace narthex::web {
namespace {

// What is written between two looks at whether a part of the answer is large enough to go.
constexpr size_t kPointsAtOnce = 1024;
constexpr size_t kHistogramsAtOnce = 32;

// How a bucket's ends belong to it, in upstream's code.
int BoundaryCode(const HistogramBucket& bucket) {
  if (bucket.lower_inclusive) return bucket.upper_inclusive ? 3 : 1;
  return bucket.upper_inclusive ? 0 : 2;
}

// One part of a matrix series: its floats or its histograms. False when it has none.
bool HasKind(const storage::SampleColumns& samples, bool histograms) {
  if (samples.histograms.empty()) return !histograms && !samples.empty();
  return std::any_of(samples.histograms.begin(), samples.histograms.end(),
                     [&](const auto& histogram) { return (histogram != nullptr) == histograms; });
}

Status WriteMatrixSeries(const promql::RangeSeries& series, JsonWriter& json,
                         ResponseWriter& writer) {
  const storage::SampleColumns& samples = series.samples;
  json.BeginObject().Key("metric").LabelObject(series.labels);
  for (const bool histograms : {false, true}) {
    if (!HasKind(samples, histograms)) continue;
    json.Key(histograms ? "histograms" : "values").BeginArray();
    for (size_t i = 0; i < samples.size(); ++i) {
      if (i % kPointsAtOnce == 0) NARTHEX_RETURN_IF_ERROR(writer.Flush());
      const FloatHistogram* histogram = samples.histogram(i);
      if ((histogram != nullptr) != histograms) continue;
      json.BeginArray().Timestamp(samples.timestamps_ms[i]);
      if (histogram != nullptr) {
        WriteHistogram(json, *histogram);
      } else {
        json.SampleValue(samples.values[i]);
      }
      json.EndArray();
    }
    json.EndArray();
    NARTHEX_RETURN_IF_ERROR(writer.Flush());
  }
  json.EndObject();
  return {};
}

// The times of all steps, each with what stands around it: `[1767225600.500,"`. Every series of the
// result has the same ones.
class StepTexts {
 public:
  StepTexts(const promql::QueryResult& result, size_t steps) {
    ends_.reserve(steps + 1);
    ends_.push_back(0);
    for (size_t step = 0; step < steps; ++step) {
      text_.push_back('[');
      JsonWriter(&text_).Timestamp(result.start_ms + static_cast<int64_t>(step) * result.step_ms);
      text_.append(",\"");
      longest_ = std::max(longest_, text_.size() - ends_.back());
      ends_.push_back(text_.size());
    }
    // Texts are copied in pieces of this size, whose end is overwritten by what follows.
    text_.append(kCopy, ' ');
  }

  static constexpr size_t kCopy = 32;
  char* Write(size_t step, char* to) const {
    const size_t size = ends_[step + 1] - ends_[step];
    if (size <= kCopy) [[likely]] {
      std::memcpy(to, text_.data() + ends_[step], kCopy);
    } else {
      std::memcpy(to, text_.data() + ends_[step], size);
    }
    return to + size;
  }
  size_t longest() const { return longest_; }

 private:
  std::string text_;
  std::vector<size_t> ends_;
  size_t longest_ = 0;
};

// The floats of a column, written where they end up: most of the work of a large answer.
Status WriteColumnFloats(const promql::StepColumn& column, const StepTexts& times,
                         std::string* scratch, ResponseWriter& writer) {
  // So many points at a time as the nearest cache holds: the answer's buffer is only appended to.
  constexpr size_t kPoints = 128;
  std::string& out = writer.buffer();
  const size_t point_max =
      std::max(times.longest(), StepTexts::kCopy) + kJsonFloatBytesMax + StepTexts::kCopy;
  scratch->resize(kPoints * point_max);
  bool first = true;
  for (size_t begin = 0; begin < column.steps(); begin += kPoints) {
    const size_t end = std::min(begin + kPoints, column.steps());
    char* at = scratch->data();
    for (size_t step = begin; step < end; ++step) {
      if (!column.has(step) || column.histogram(step) != nullptr) continue;
      if (!first) *at++ = ',';
      first = false;
      at = times.Write(step, at);
      at = WriteJsonFloat(column.value(step), at);
      *at++ = '"';
      *at++ = ']';
    }
    out.append(scratch->data(), at);
    NARTHEX_RETURN_IF_ERROR(writer.Flush());
  }
  return {};
}

Status WriteColumnSeries(const promql::QueryResult& result, const promql::ColumnSeries& series,
                         const StepTexts& times, std::string* scratch, JsonWriter& json,
                         ResponseWriter& writer) {
  const promql::StepColumn& column = series.column;
  size_t histograms = 0;
  if (column.has_histograms()) {
    column.ForEach([&](size_t step) { histograms += column.histogram(step) != nullptr ? 1 : 0; });
  }
  json.BeginObject().Key("metric").LabelObject(series.labels);
  if (column.Count() > histograms) {
    json.Key("values").BeginArray();
    NARTHEX_RETURN_IF_ERROR(WriteColumnFloats(column, times, scratch, writer));
    json.EndArray();
  }
  if (histograms > 0) {
    json.Key("histograms").BeginArray();
    Status status;
    size_t written = 0;
    column.ForEach([&](size_t step) {
      const promql::HistogramPtr& histogram = column.histogram(step);
      if (histogram == nullptr || !status.ok()) return;
      if (++written % kHistogramsAtOnce == 0) status = writer.Flush();
      json.BeginArray().Timestamp(result.start_ms + static_cast<int64_t>(step) * result.step_ms);
      WriteHistogram(json, *histogram);
      json.EndArray();
    });
    NARTHEX_RETURN_IF_ERROR(std::move(status));
    json.EndArray();
  }
  json.EndObject();
  return writer.Flush();
}

void WriteVectorSample(const promql::InstantSample& sample, JsonWriter& json) {
  json.BeginObject().Key("metric").LabelObject(sample.labels);
  json.Key(sample.histogram ? "histogram" : "value").BeginArray().Timestamp(sample.timestamp_ms);
  if (sample.histogram) {
    WriteHistogram(json, *sample.histogram);
  } else {
    json.SampleValue(sample.value);
  }
  json.EndArray().EndObject();
}

}  // namespace

void WriteHistogram(JsonWriter& json, const FloatHistogram& histogram) {
  json.BeginObject();
  json.Key("count").SampleValue(histogram.count);
  json.Key("sum").SampleValue(histogram.sum);
  bool any = false;
  for (BucketIterator it(histogram, BucketOrder::kAll); it.Next();) {
    const HistogramBucket& bucket = it.bucket();
    if (bucket.count == 0) continue;
    if (!any) json.Key("buckets").BeginArray();
    any = true;
    json.BeginArray().Int(BoundaryCode(bucket));
    json.SampleValue(bucket.lower).SampleValue(bucket.upper).SampleValue(bucket.count);
    json.EndArray();
  }
  if (any) json.EndArray();
  json.EndObject();
}

Status WriteQueryResult(const promql::QueryResult& result, size_t limit, StatsLevel stats,
                        ResponseWriter& writer, bool* truncated) {
  JsonWriter json(&writer.buffer());
  json.BeginObject();
  json.Key("resultType").String(promql::ValueTypeTag(result.type)).Key("result");
  const auto count = [&](size_t size) {
    *truncated = limit > 0 && size > limit;
    return *truncated ? limit : size;
  };
  switch (result.type) {
    case promql::ValueType::kMatrix: {
      json.BeginArray();
      const size_t shown = count(result.matrix.size());
      for (size_t i = 0; i < shown; ++i) {
        NARTHEX_RETURN_IF_ERROR(WriteMatrixSeries(result.matrix[i], json, writer));
      }
      if (!result.columns.empty()) {
        const StepTexts times(result, result.columns.front().column.steps());
        std::string scratch;
        const size_t columns_shown = count(result.columns.size());
        for (size_t i = 0; i < columns_shown; ++i) {
          NARTHEX_RETURN_IF_ERROR(
              WriteColumnSeries(result, result.columns[i], times, &scratch, json, writer));
        }
      }
      json.EndArray();
      break;
    }
    case promql::ValueType::kVector: {
      json.BeginArray();
      const size_t shown = count(result.vector.size());
      for (size_t i = 0; i < shown; ++i) {
        WriteVectorSample(result.vector[i], json);
        NARTHEX_RETURN_IF_ERROR(writer.Flush());
      }
      json.EndArray();
      break;
    }
    case promql::ValueType::kScalar:
      // Always the 'f' form, unlike samples.
      json.BeginArray().Timestamp(result.timestamp_ms).String(FormatFloatF(result.scalar));
      json.EndArray();
      break;
    case promql::ValueType::kString:
      json.BeginArray().Timestamp(result.timestamp_ms).String(result.string).EndArray();
      break;
    case promql::ValueType::kNone: json.Null(); break;
  }
  if (stats != StatsLevel::kNone) {
    json.Key("stats");
    promql::AppendStatsJson(result.stats, &writer.buffer());
  }
  json.EndObject();
  return {};
}

}  // namespace narthex::web
