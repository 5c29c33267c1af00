// `tsdb analyze`: which labels make a block big, and how full its chunks are.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "apps/tool_database.h"
#include "apps/tool_tsdb.h"
#include "tsdb/chunks/sample_reader.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

using tsdb::IndexReader;
using Refs = std::vector<IndexReader::Ref>;
using Counts = std::map<std::string, uint64_t, std::less<>>;

// The largest first; equal ones in the order of their names.
void PrintLargest(std::string_view title, const Counts& counts, int64_t limit) {
  std::vector<std::pair<uint64_t, std::string_view>> sorted;
  sorted.reserve(counts.size());
  for (const auto& [name, count] : counts) sorted.emplace_back(count, name);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out = "\n" + std::string(title) + ":\n";
  for (size_t i = 0; i < sorted.size() && static_cast<int64_t>(i) < limit; ++i) {
    out += fmt::format("{} {}\n", sorted[i].first, sorted[i].second);
  }
  PrintOut(out);
}

struct LabelFigures {
  Counts uncovered_by_pair;  // Milliseconds of the block that series with the pair do not span.
  Counts uncovered_by_name;
  Counts series_by_pair;
  Counts series_by_metric;
  std::map<std::string, Counts, std::less<>> values;  // By name.
  uint64_t entries = 0;
};

Status CollectLabels(const tsdb::Block& block, const Refs& refs, LabelFigures* figures) {
  const auto span = static_cast<uint64_t>(block.max_ms() - block.min_ms());
  std::vector<LabelView> labels;
  std::vector<tsdb::ChunkMeta> chunks;
  std::string pair;
  for (const IndexReader::Ref ref : refs) {
    labels.clear();
    chunks.clear();
    NARTHEX_RETURN_IF_ERROR(block.index().ReadSeries(ref, &labels, &chunks));
    uint64_t uncovered = span;
    if (!chunks.empty()) {
      uncovered -= static_cast<uint64_t>(chunks.back().max_ms - chunks.front().min_ms);
    }
    for (const LabelView& label : labels) {
      pair.assign(label.name).append("=").append(label.value);
      figures->uncovered_by_name[std::string(label.name)] += uncovered;
      figures->uncovered_by_pair[pair] += uncovered;
      ++figures->series_by_pair[pair];
      ++figures->values[std::string(label.name)][std::string(label.value)];
      if (label.name == kMetricNameLabel) ++figures->series_by_metric[std::string(label.value)];
      ++figures->entries;
    }
  }
  return {};
}

Counts InBlocks(const Counts& uncovered, int64_t span_ms) {
  Counts out;
  for (const auto& [name, millis] : uncovered) {
    out[name] = static_cast<uint64_t>(static_cast<double>(millis) / static_cast<double>(span_ms));
  }
  return out;
}

void PrintChunkHistogram(std::string_view what, std::vector<int64_t> data, int64_t total) {
  if (data.empty()) {
    PrintOut(fmt::format("{}: N/A\n\n", what));
    return;
  }
  std::sort(data.begin(), data.end());
  const int64_t low = data.front();
  const int64_t high = data.back();
  int64_t step = 10;
  while (step < (high - low) / 10 && step <= 10'000) step *= 10;
  const int64_t start = low - low % step;
  const int64_t end = high - high % step + step;
  std::vector<int64_t> buckets(static_cast<size_t>((end - start) / step + 1));
  int64_t sum = 0;
  for (const int64_t value : data) {
    sum += value;
    ++buckets[static_cast<size_t>((value - start) / step)];
  }
  const auto digits = [](int64_t value) { return std::to_string(value).size(); };
  const size_t left = digits(end);
  const size_t right = digits(end + step);
  const size_t count_width = digits(*std::max_element(buckets.begin(), buckets.end()));
  PrintOut(fmt::format("{} (min/avg/max): {}/{}/{}\n", what, low,
                       sum / static_cast<int64_t>(data.size()), high));
  for (size_t i = 0; i < buckets.size(); ++i) {
    const int64_t from = static_cast<int64_t>(i) * step + start;
    PrintOut(fmt::format("[{:>{}}, {:>{}}]: {:>{}} {}\n", from + 1, left, from + step, right,
                         buckets[i], count_width,
                         std::string(static_cast<size_t>(100 * buckets[i] / total), '#')));
  }
  PrintOut("\n");
}

Status PrintCompaction(const tsdb::Block& block, const Refs& refs) {
  std::vector<int64_t> float_samples, float_bytes;
  std::vector<int64_t> histogram_samples, histogram_bytes, histogram_buckets;
  int64_t total = 0;
  std::vector<tsdb::ChunkMeta> chunks;
  for (const IndexReader::Ref ref : refs) {
    chunks.clear();
    NARTHEX_RETURN_IF_ERROR(block.index().ReadSeries(ref, nullptr, &chunks));
    for (const tsdb::ChunkMeta& meta : chunks) {
      NARTHEX_TRY(const tsdb::ChunkView chunk, block.chunks().Read(meta.ref));
      ++total;
      int64_t samples = 0;
      int64_t buckets = 0;
      tsdb::ChunkSampleReader reader(chunk.encoding, chunk.bytes);
      for (tsdb::AnySample sample; reader.Next(&sample);) {
        ++samples;
        if (sample.kind == tsdb::ValueKind::kHistogram) {
          buckets += static_cast<int64_t>(sample.histogram.positive_buckets.size() +
                                          sample.histogram.negative_buckets.size());
        } else if (sample.kind == tsdb::ValueKind::kFloatHistogram) {
          buckets += static_cast<int64_t>(sample.float_histogram.positive_buckets.size() +
                                          sample.float_histogram.negative_buckets.size());
        }
      }
      NARTHEX_RETURN_IF_ERROR(reader.status());
      const bool floats = tsdb::KindOf(chunk.encoding) == tsdb::ValueKind::kFloat;
      (floats ? float_samples : histogram_samples).push_back(samples);
      (floats ? float_bytes : histogram_bytes).push_back(static_cast<int64_t>(chunk.bytes.size()));
      if (!floats) histogram_buckets.push_back(buckets);
    }
  }
  PrintOut("\nCompaction analysis:\n\n");
  PrintChunkHistogram("samples per float chunk", std::move(float_samples), total);
  PrintChunkHistogram("bytes per float chunk", std::move(float_bytes), total);
  PrintChunkHistogram("samples per histogram chunk", std::move(histogram_samples), total);
  PrintChunkHistogram("bytes per histogram chunk", std::move(histogram_bytes), total);
  PrintChunkHistogram("buckets per histogram chunk", std::move(histogram_buckets), total);
  return {};
}

Status Analyze(const AnalyzeOptions& options, const ToolContext& context) {
  std::vector<Matcher> matchers;
  if (!options.match.empty()) {
    NARTHEX_TRY(matchers, promql::ParseMetricSelector(options.match, context.parser));
  }
  NARTHEX_TRY(const auto block, OpenBlock(options.path, options.block));
  const tsdb::BlockMeta meta = block->meta();
  const int64_t span_ms = meta.max_ms - meta.min_ms;
  NARTHEX_TRY(const Refs refs, tsdb::PostingsForMatchers(block->index(), matchers));
  LabelFigures figures;
  NARTHEX_RETURN_IF_ERROR(CollectLabels(*block, refs, &figures));

  PrintOut(fmt::format("Block ID: {}\nDuration: {}\nTotal Series: {}\n", meta.ulid.ToString(),
                       FormatGoDuration(span_ms * kNanosPerMilli), meta.stats.series));
  if (!options.match.empty()) PrintOut("Matcher: " + options.match + "\n");
  PrintOut(fmt::format("Label names: {}\n", figures.values.size()));
  if (!options.match.empty()) PrintOut(fmt::format("Matched series: {}\n", refs.size()));
  PrintOut(
      fmt::format("Postings (unique label pairs): {}\nPostings entries (total label pairs): {}\n",
                  figures.series_by_pair.size(), figures.entries));

  PrintLargest("Label pairs most involved in churning",
               InBlocks(figures.uncovered_by_pair, span_ms), options.limit);
  PrintLargest("Label names most involved in churning",
               InBlocks(figures.uncovered_by_name, span_ms), options.limit);
  PrintLargest("Most common label pairs", figures.series_by_pair, options.limit);
  Counts lengths;
  Counts cardinalities;
  for (const auto& [name, values] : figures.values) {
    uint64_t& length = lengths[name];
    for (const auto& [value, count] : values) length += value.size();
    cardinalities[name] = values.size();
  }
  PrintLargest("Label names with highest cumulative label value length", lengths, options.limit);
  PrintLargest("Highest cardinality labels", cardinalities, options.limit);
  PrintLargest("Highest cardinality metric names", figures.series_by_metric, options.limit);
  return options.extended ? PrintCompaction(*block, refs) : Status();
}

}  // namespace

int AnalyzeBlock(const AnalyzeOptions& options, const ToolContext& context) {
  return ReportError(Analyze(options, context));
}

}  // namespace narthex::apps
