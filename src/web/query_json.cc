#include "web/query_json.h"

#include <algorithm>

#include "model/float_histogram_ops.h"
#include "promql/engine/query_log.h"

namespace narthex::web {
namespace {

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
