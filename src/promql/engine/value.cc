#include "promql/engine/value.h"

#include <algorithm>
#include <numeric>

#include "util/hash.h"
#include "util/hash_map.h"

namespace narthex::promql {

Labels DropMetadata(const Labels& labels) {
  static const std::vector<std::string> kMetadata = {std::string(kTypeLabel),
                                                     std::string(kUnitLabel)};
  return labels.Without(kMetadata, /*drop_name=*/true);
}

MetadataLabels MetadataOf(const Labels& labels) {
  MetadataLabels metadata;
  for (const LabelView& label : labels) {
    if (label.name > kUnitLabel) break;  // Names ascend, and this is the last one.
    if (label.name == kMetricNameLabel) metadata.name = label.value;
    if (label.name == kTypeLabel) metadata.type = label.value;
    if (label.name == kUnitLabel) metadata.unit = label.value;
  }
  return metadata;
}

namespace {

// Pairs up equal label sets: calls merge(first, other) with indices; merged ones are removed.
template <typename Series, typename Merge>
Status MergeByLabels(std::vector<Series>* series, CancelTicker ticker, Merge&& merge) {
  HashMap<uint64_t, size_t> first;
  first.reserve(series->size());
  std::vector<bool> gone;
  for (size_t i = 0; i < series->size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(ticker.Tick());
    const auto [at, inserted] = first.try_emplace((*series)[i].labels.Hash(), i);
    if (inserted) continue;
    gone.resize(series->size());
    gone[i] = true;
    NARTHEX_RETURN_IF_ERROR(merge(&(*series)[at->second], &(*series)[i]));
  }
  if (gone.empty()) return {};
  size_t kept = 0;
  for (size_t i = 0; i < series->size(); ++i) {
    if (gone[i]) continue;
    if (kept != i) (*series)[kept] = std::move((*series)[i]);
    ++kept;
  }
  series->erase(series->begin() + static_cast<std::ptrdiff_t>(kept), series->end());
  return {};
}

Status DuplicateLabels() {
  return Status(ErrorCode::kExecution, std::string(kDuplicateLabelsText));
}

}  // namespace

Result<bool> HasDuplicateLabels(const VectorValue& vector, const Cancellation& cancellation) {
  if (vector.size() < 2) return false;
  CancelTicker ticker(cancellation, 1);
  HashSet<uint64_t> seen;
  seen.reserve(vector.size());
  for (const VectorSeries& series : vector) {
    NARTHEX_RETURN_IF_ERROR(ticker.Tick());
    if (!seen.insert(series.labels.Hash()).second) return true;
  }
  return false;
}

Status MergeDuplicates(VectorValue* vector, const Cancellation& cancellation) {
  if (vector->size() < 2) return {};
  return MergeByLabels(
      vector, CancelTicker(cancellation, 1), [](VectorSeries* into, VectorSeries* from) -> Status {
        for (size_t w = 0; w < into->column.words(); ++w) {
          if ((into->column.present()[w] & from->column.present()[w]) != 0)
            return DuplicateLabels();
        }
        from->column.ForEach([&](size_t step) { into->column.SetFrom(step, from->column, step); });
        return {};
      });
}

Status MergeDuplicates(std::vector<MatrixSeries>* matrix, const Cancellation& cancellation) {
  if (matrix->size() < 2) return {};
  return MergeByLabels(
      matrix, CancelTicker(cancellation, 1), [](MatrixSeries* into, MatrixSeries* from) -> Status {
        storage::SampleColumns merged;
        const storage::SampleColumns& a = into->samples;
        const storage::SampleColumns& b = from->samples;
        size_t i = 0;
        size_t j = 0;
        const auto take = [&merged](const storage::SampleColumns& source, size_t at) {
          if (source.histogram(at) != nullptr) {
            merged.AddHistogram(source.timestamps_ms[at], source.histograms[at]);
          } else {
            merged.AddFloat(source.timestamps_ms[at], source.values[at]);
          }
        };
        while (i < a.size() || j < b.size()) {
          if (i < a.size() && j < b.size() && a.timestamps_ms[i] == b.timestamps_ms[j]) {
            return DuplicateLabels();
          }
          if (j >= b.size() || (i < a.size() && a.timestamps_ms[i] < b.timestamps_ms[j])) {
            take(a, i++);
          } else {
            take(b, j++);
          }
        }
        into->samples = std::move(merged);
        return {};
      });
}

size_t SampleCount(const VectorValue& vector) {
  size_t count = 0;
  for (const VectorSeries& series : vector) count += series.column.SampleCount();
  return count;
}

size_t SampleCount(const storage::SampleColumns& samples) {
  size_t count = samples.size();
  for (const auto& histogram : samples.histograms) {
    if (histogram != nullptr) count += HistogramSize(*histogram) - 1;
  }
  return count;
}

size_t SampleCount(const std::vector<MatrixSeries>& matrix) {
  size_t count = 0;
  for (const MatrixSeries& series : matrix) count += SampleCount(series.samples);
  return count;
}

size_t MemoryOf(const StepColumn& column) {
  size_t bytes = sizeof(StepColumn);
  if (column.steps() > 1)
    bytes += column.words() * sizeof(uint64_t) + column.steps() * sizeof(double);
  if (!column.has_histograms()) return bytes;
  bytes += column.steps() * sizeof(HistogramPtr);
  const FloatHistogram* last = nullptr;
  column.ForEach([&](size_t step) {
    const FloatHistogram* histogram = column.histogram(step).get();
    if (histogram != nullptr && histogram != last) bytes += HistogramBytes(*histogram);
    last = histogram;
  });
  return bytes;
}

size_t MemoryOf(const VectorSeries& series) {
  return sizeof(VectorSeries) - sizeof(StepColumn) + series.labels.encoded().size() +
         MemoryOf(series.column);
}

size_t MemoryOf(const MatrixSeries& series) {
  const storage::SampleColumns& samples = series.samples;
  size_t bytes = sizeof(MatrixSeries) + series.labels.encoded().size() +
                 samples.timestamps_ms.capacity() * sizeof(int64_t) +
                 samples.values.capacity() * sizeof(double) +
                 samples.histograms.capacity() * sizeof(HistogramPtr) +
                 samples.start_timestamps_ms.capacity() * sizeof(int64_t);
  for (const auto& histogram : samples.histograms) {
    if (histogram != nullptr) bytes += HistogramBytes(*histogram);
  }
  return bytes;
}

size_t MemoryOf(const Value& value) {
  size_t bytes = value.scalar.capacity() * sizeof(double) + value.string.capacity();
  for (const VectorSeries& series : value.vector) bytes += MemoryOf(series);
  for (const MatrixSeries& series : value.matrix) bytes += MemoryOf(series);
  return bytes;
}

LabelProjection::LabelProjection(std::vector<std::string> names, bool keep)
    : names_(std::move(names)), keep_(keep) {
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
}

bool LabelProjection::Picks(std::string_view name) const {
  // Groupings have a handful of names: a scan beats a search.
  for (const std::string& candidate : names_) {
    if (candidate == name) return keep_;
  }
  return !keep_;
}

Labels LabelProjection::Project(const Labels& labels) const {
  return keep_ ? labels.Keep(names_) : labels.Without(names_, /*drop_name=*/false);
}

uint64_t LabelProjection::Hash(const Labels& labels) const {
  uint64_t hash = 0x9e3779b97f4a7c15;
  if (keep_ && names_.empty()) return hash;
  for (const LabelView& pair : labels) {
    if (!Picks(pair.name)) continue;
    hash = (hash ^ FastHash64(pair.name)) * 0xff51afd7ed558ccd;
    hash = (hash ^ FastHash64(pair.value)) * 0xc4ceb9fe1a85ec53;
    hash ^= hash >> 32;
  }
  return hash;
}

bool LabelProjection::SameProjection(const Labels& a, const Labels& b) const {
  if (keep_ && names_.empty()) return true;
  auto i = a.begin();
  auto j = b.begin();
  for (;;) {
    while (i != a.end() && !Picks(i->name)) ++i;
    while (j != b.end() && !Picks(j->name)) ++j;
    if (i == a.end() || j == b.end()) return i == a.end() && j == b.end();
    if (*i != *j) return false;
    ++i;
    ++j;
  }
}

void ProjectionIndex::Grow() {
  table_.assign(std::max<size_t>(16, table_.size() * 2), 0);
  const size_t mask = table_.size() - 1;
  for (size_t ordinal = 0; ordinal < hashes_.size(); ++ordinal) {
    size_t slot = hashes_[ordinal] & mask;
    while (table_[slot] != 0) slot = (slot + 1) & mask;
    table_[slot] = static_cast<uint32_t>(ordinal + 1);
  }
}

size_t ProjectionIndex::Add(const Labels& labels) {
  if ((representatives_.size() + 1) * 2 > table_.size()) Grow();
  const uint64_t hash = projection_->Hash(labels);
  const size_t mask = table_.size() - 1;
  size_t slot = hash & mask;
  for (; table_[slot] != 0; slot = (slot + 1) & mask) {
    const size_t ordinal = table_[slot] - 1;
    if (hashes_[ordinal] == hash &&
        projection_->SameProjection(*representatives_[ordinal], labels)) {
      return ordinal;
    }
  }
  representatives_.push_back(&labels);
  hashes_.push_back(hash);
  table_[slot] = static_cast<uint32_t>(representatives_.size());
  return representatives_.size() - 1;
}

}  // namespace narthex::promql
