#include "tsdb/chunks/histogram_layout.h"

#include <bit>
#include <cmath>
#include <type_traits>

#include "tsdb/chunks/varbit.h"

namespace narthex::tsdb {
namespace {

// Exponents of frexp that one byte stands for.
constexpr int kThresholdExponentMin = -242;
constexpr int kThresholdExponentMax = 11;
constexpr int kThresholdExponentBias = 243;

void PutZeroThreshold(BitWriter& writer, double threshold) {
  if (threshold == 0) {
    writer.Put(0, 8);
    return;
  }
  int exponent = 0;
  const double fraction = std::frexp(threshold, &exponent);
  if (fraction == 0.5 && exponent >= kThresholdExponentMin && exponent <= kThresholdExponentMax) {
    writer.Put(static_cast<uint64_t>(int64_t{exponent} + kThresholdExponentBias), 8);
    return;
  }
  writer.Put(255, 8);
  writer.Put(std::bit_cast<uint64_t>(threshold), 64);
}

double ReadZeroThreshold(BitReader& reader) {
  const uint64_t byte = reader.Read(8);
  if (byte == 0) return 0;
  if (byte == 255) return std::bit_cast<double>(reader.Read(64));
  return std::ldexp(0.5, static_cast<int>(byte) - kThresholdExponentBias);
}

// Largest thousandfold bound in the short form: what four bytes of varbit hold.
constexpr double kShortBoundMax = 33554430;

void PutCustomBound(BitWriter& writer, double bound) {
  const double thousandfold = bound * 1000;
  if (thousandfold >= 0 && thousandfold <= kShortBoundMax &&
      static_cast<double>(static_cast<uint64_t>(std::round(thousandfold))) / 1000 == bound) {
    PutVarbitUint(writer, static_cast<uint64_t>(std::round(thousandfold)) + 1);
    return;
  }
  writer.Put(0, 1);
  writer.Put(std::bit_cast<uint64_t>(bound), 64);
}

double ReadCustomBound(BitReader& reader) {
  const uint64_t v = ReadVarbitUint(reader);
  if (v == 0) return std::bit_cast<double>(reader.Read(64));
  return static_cast<double>(v - 1) / 1000;
}

void PutSpans(BitWriter& writer, const std::vector<Span>& spans) {
  PutVarbitUint(writer, spans.size());
  for (const Span& span : spans) {
    PutVarbitUint(writer, span.length);
    PutVarbitInt(writer, span.offset);
  }
}

// Every span takes two bits at least and every bucket one, so a count beyond what is left of the
// chunk is made up; checking it first bounds what a damaged chunk can make us allocate.
Status ReadSpans(BitReader& reader, std::vector<Span>* spans) {
  spans->clear();
  const uint64_t count = ReadVarbitUint(reader);
  if (count > reader.bits_left() / 2) {
    return MakeError(ErrorCode::kCorruption, "histogram chunk claims {} spans", count);
  }
  spans->reserve(count);
  uint64_t buckets = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t length = ReadVarbitUint(reader);
    const int64_t offset = ReadVarbitInt(reader);
    buckets += length;
    if (length > reader.bits_left() || buckets > reader.bits_left()) {
      return MakeError(ErrorCode::kCorruption, "histogram chunk claims {} buckets", buckets);
    }
    spans->push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
  }
  return {};
}

class SpanBuilder {
 public:
  void Add(int64_t index) {
    if (!spans_.empty() && index == last_ + 1) {
      ++spans_.back().length;
    } else {
      const int64_t offset = spans_.empty() ? index : index - last_ - 1;
      spans_.push_back({static_cast<int32_t>(offset), 1});
    }
    last_ = index;
  }
  std::vector<Span> Take() { return std::move(spans_); }

 private:
  std::vector<Span> spans_;
  int64_t last_ = 0;
};

// Counts runs of inserted buckets; a run ends when the other side moves on.
class RunCounter {
 public:
  void Insert(int64_t index, bool must_be_adjacent) {
    if (!open_ || (must_be_adjacent && index != last_ + 1)) ++runs_;
    open_ = true;
    last_ = index;
  }
  void Break() { open_ = false; }
  unsigned runs() const { return runs_; }

 private:
  unsigned runs_ = 0;
  bool open_ = false;
  int64_t last_ = 0;
};

// Walks both index lists in order, calling both(), only_a(), only_b() with positions; a callback
// that gives false stops the walk.
template <typename Both, typename OnlyA, typename OnlyB>
bool WalkBuckets(const std::vector<int64_t>& a, const std::vector<int64_t>& b, Both both,
                 OnlyA only_a, OnlyB only_b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      if (!both(i++, j++)) return false;
    } else if (j == b.size() || (i < a.size() && a[i] < b[j])) {
      if (!only_a(i++)) return false;
    } else if (!only_b(j++)) {
      return false;
    }
  }
  return true;
}

}  // namespace

void PutHistogramLayout(BitWriter& writer, const HistogramLayout& layout) {
  PutZeroThreshold(writer, layout.zero_threshold);
  PutVarbitInt(writer, layout.schema);
  PutSpans(writer, layout.positive_spans);
  PutSpans(writer, layout.negative_spans);
  if (layout.schema == kCustomBucketsSchema) {
    PutVarbitUint(writer, layout.custom_values.size());
    for (const double bound : layout.custom_values) PutCustomBound(writer, bound);
  }
}

Status ReadHistogramLayout(BitReader& reader, HistogramLayout* layout) {
  layout->zero_threshold = ReadZeroThreshold(reader);
  const int64_t schema = ReadVarbitInt(reader);
  NARTHEX_RETURN_IF_ERROR(ReadSpans(reader, &layout->positive_spans));
  NARTHEX_RETURN_IF_ERROR(ReadSpans(reader, &layout->negative_spans));
  layout->custom_values.clear();
  if (schema == kCustomBucketsSchema) {
    const uint64_t count = ReadVarbitUint(reader);
    if (count > reader.bits_left()) {
      return MakeError(ErrorCode::kCorruption, "histogram chunk claims {} custom bounds", count);
    }
    layout->custom_values.reserve(count);
    for (uint64_t i = 0; i < count; ++i) layout->custom_values.push_back(ReadCustomBound(reader));
  }
  if (reader.overrun()) {
    return MakeError(ErrorCode::kCorruption, "histogram chunk ends within its layout");
  }
  if (schema != kCustomBucketsSchema &&
      (schema < kReadableSchemaMin || schema > kReadableSchemaMax)) {
    return MakeError(ErrorCode::kCorruption,
                     "histogram has an unknown schema, which must be between -9 and 52 for "
                     "exponential buckets, or -53 for custom buckets, got schema {}",
                     schema);
  }
  layout->schema = static_cast<int32_t>(schema);
  return {};
}

size_t CountBuckets(const std::vector<Span>& spans) {
  size_t count = 0;
  for (const Span& span : spans) count += span.length;
  return count;
}

void BucketIndexes(const std::vector<Span>& spans, std::vector<int64_t>* indexes) {
  indexes->clear();
  int64_t next = 0;
  for (const Span& span : spans) {
    next += span.offset;
    for (uint32_t i = 0; i < span.length; ++i) indexes->push_back(next++);
  }
}

std::vector<Span> SpansOf(const std::vector<int64_t>& indexes) {
  SpanBuilder builder;
  for (const int64_t index : indexes) builder.Add(index);
  return builder.Take();
}

std::vector<int64_t> DeltasToCounts(const std::vector<int64_t>& deltas) {
  std::vector<int64_t> counts(deltas.size());
  uint64_t sum = 0;
  for (size_t i = 0; i < deltas.size(); ++i) {
    sum += static_cast<uint64_t>(deltas[i]);
    counts[i] = static_cast<int64_t>(sum);
  }
  return counts;
}

std::vector<int64_t> CountsToDeltas(const std::vector<int64_t>& counts) {
  std::vector<int64_t> deltas(counts.size());
  uint64_t before = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    deltas[i] = static_cast<int64_t>(static_cast<uint64_t>(counts[i]) - before);
    before = static_cast<uint64_t>(counts[i]);
  }
  return deltas;
}

template <typename Count>
LayoutComparison CompareCounterLayouts(const std::vector<Span>& a,
                                       const std::vector<Count>& a_counts,
                                       const std::vector<Span>& b,
                                       const std::vector<Count>& b_counts) {
  std::vector<int64_t> a_indexes;
  std::vector<int64_t> b_indexes;
  BucketIndexes(a, &a_indexes);
  BucketIndexes(b, &b_indexes);
  LayoutComparison result;
  RunCounter forward;
  RunCounter backward;
  SpanBuilder merged;
  result.is_reset = !WalkBuckets(
      a_indexes, b_indexes,
      [&](size_t i, size_t j) {
        forward.Break();
        backward.Break();
        merged.Add(a_indexes[i]);
        return !(a_counts[i] > b_counts[j]);
      },
      [&](size_t i) {
        forward.Break();
        backward.Insert(a_indexes[i], /*must_be_adjacent=*/true);
        merged.Add(a_indexes[i]);
        return a_counts[i] == 0;
      },
      [&](size_t j) {
        backward.Break();
        forward.Insert(b_indexes[j], /*must_be_adjacent=*/true);
        merged.Add(b_indexes[j]);
        return true;
      });
  if (result.is_reset) return result;
  result.forward = forward.runs();
  result.backward = backward.runs();
  result.merged = merged.Take();
  return result;
}
template LayoutComparison CompareCounterLayouts(const std::vector<Span>&,
                                                const std::vector<int64_t>&,
                                                const std::vector<Span>&,
                                                const std::vector<int64_t>&);
template LayoutComparison CompareCounterLayouts(const std::vector<Span>&,
                                                const std::vector<double>&,
                                                const std::vector<Span>&,
                                                const std::vector<double>&);

LayoutComparison CompareGaugeLayouts(const std::vector<Span>& a, const std::vector<Span>& b) {
  std::vector<int64_t> a_indexes;
  std::vector<int64_t> b_indexes;
  BucketIndexes(a, &a_indexes);
  BucketIndexes(b, &b_indexes);
  LayoutComparison result;
  RunCounter forward;
  RunCounter backward;
  SpanBuilder merged;
  WalkBuckets(
      a_indexes, b_indexes,
      [&](size_t i, size_t) {
        forward.Break();
        backward.Break();
        merged.Add(a_indexes[i]);
        return true;
      },
      [&](size_t i) {
        forward.Break();
        backward.Insert(a_indexes[i], /*must_be_adjacent=*/false);
        merged.Add(a_indexes[i]);
        return true;
      },
      [&](size_t j) {
        backward.Break();
        forward.Insert(b_indexes[j], /*must_be_adjacent=*/false);
        merged.Add(b_indexes[j]);
        return true;
      });
  result.forward = forward.runs();
  result.backward = backward.runs();
  result.merged = merged.Take();
  return result;
}

template <typename Count>
std::vector<Count> MoveCounts(const std::vector<Span>& from, const std::vector<Count>& counts,
                              const std::vector<Span>& to) {
  std::vector<int64_t> from_indexes;
  std::vector<int64_t> to_indexes;
  BucketIndexes(from, &from_indexes);
  BucketIndexes(to, &to_indexes);
  std::vector<Count> moved(to_indexes.size(), Count{0});
  size_t i = 0;
  for (size_t j = 0; j < to_indexes.size() && i < from_indexes.size(); ++j) {
    if (from_indexes[i] == to_indexes[j]) moved[j] = counts[i++];
  }
  return moved;
}
template std::vector<int64_t> MoveCounts(const std::vector<Span>&, const std::vector<int64_t>&,
                                         const std::vector<Span>&);
template std::vector<double> MoveCounts(const std::vector<Span>&, const std::vector<double>&,
                                        const std::vector<Span>&);

template <typename Count>
void ReduceBuckets(unsigned schema_steps, std::vector<Span>* spans, std::vector<Count>* counts) {
  std::vector<int64_t> indexes;
  BucketIndexes(*spans, &indexes);
  std::vector<int64_t> reduced_indexes;
  std::vector<Count> reduced;
  for (size_t i = 0; i < indexes.size(); ++i) {
    const int64_t index = ((indexes[i] - 1) >> schema_steps) + 1;
    if (reduced_indexes.empty() || reduced_indexes.back() != index) {
      reduced_indexes.push_back(index);
      reduced.push_back((*counts)[i]);
    } else {
      // Damaged counts may overflow; they wrap, as upstream's do.
      if constexpr (std::is_integral_v<Count>) {
        reduced.back() = static_cast<Count>(static_cast<uint64_t>(reduced.back()) +
                                            static_cast<uint64_t>((*counts)[i]));
      } else {
        reduced.back() += (*counts)[i];
      }
    }
  }
  *spans = SpansOf(reduced_indexes);
  *counts = std::move(reduced);
}
template void ReduceBuckets(unsigned, std::vector<Span>*, std::vector<int64_t>*);
template void ReduceBuckets(unsigned, std::vector<Span>*, std::vector<double>*);

}  // namespace narthex::tsdb
