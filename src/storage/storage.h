// What the engines need from a store, and nothing more: they meet storage only through these
// interfaces (scrape knows Appender, never the head; the query engine knows Queryable).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::storage {

// Names a series of one store for as long as the store holds it; 0 names none.
using SeriesRef = uint64_t;

// ---------------------------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------------------------

// The samples of one series as columns, in ascending time. A position holds a histogram when
// `histograms` is not empty and its pointer there is set; its `values` entry is then 0.
struct SampleColumns {
  std::vector<int64_t> timestamps_ms;
  std::vector<double> values;
  std::vector<std::shared_ptr<const FloatHistogram>> histograms;  // Empty: floats only.
  std::vector<int64_t> start_timestamps_ms;                       // Empty: none known. 0: unknown.

  size_t size() const { return timestamps_ms.size(); }
  bool empty() const { return timestamps_ms.empty(); }
  void Clear() {
    timestamps_ms.clear();
    values.clear();
    histograms.clear();
    start_timestamps_ms.clear();
  }
  const FloatHistogram* histogram(size_t i) const {
    return histograms.empty() ? nullptr : histograms[i].get();
  }
  void AddFloat(int64_t timestamp_ms, double value) {
    timestamps_ms.push_back(timestamp_ms);
    values.push_back(value);
    if (!histograms.empty()) histograms.emplace_back();
    if (!start_timestamps_ms.empty()) start_timestamps_ms.push_back(0);
  }
  void AddHistogram(int64_t timestamp_ms, std::shared_ptr<const FloatHistogram> histogram) {
    histograms.resize(timestamps_ms.size());
    histograms.push_back(std::move(histogram));
    timestamps_ms.push_back(timestamp_ms);
    values.push_back(0);
    if (!start_timestamps_ms.empty()) start_timestamps_ms.push_back(0);
  }
  // Sets the start timestamp of the newest sample.
  void SetStartTimestamp(int64_t start_ms) {
    if (start_ms == 0 && start_timestamps_ms.empty()) return;
    start_timestamps_ms.resize(timestamps_ms.size(), 0);
    start_timestamps_ms.back() = start_ms;
  }
};

// One selected series. Lives independently of the set it came from, but not longer than the
// Querier. Read() may be called from any thread, any number of times.
class Series {
 public:
  virtual ~Series() = default;
  virtual const Labels& labels() const = 0;
  // Appends the samples within the select's time range to `out`, ascending, stale markers
  // included.
  virtual Status Read(SampleColumns* out) const = 0;
};

// Series in label order when sorted, each once.
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  // The next series; null at the end or after an error, which status() tells.
  virtual std::unique_ptr<Series> Next() = 0;
  virtual Status status() const { return {}; }
  virtual std::vector<std::string> warnings() const { return {}; }
};

// What the caller will do with the samples; a store may use it to read less.
struct SelectHints {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;
  int64_t range_ms = 0;  // Of a range selector, else 0.
  std::string function;  // Nearest enclosing function or aggregation.
  std::vector<std::string> grouping;
  bool grouping_by = false;
  size_t limit = 0;  // Series at most; 0: all.
  // Only count, sum and schema of histograms are looked at; buckets need not be decoded.
  bool histogram_stats = false;
  // Only labels are looked at (series endpoint); Read is never called.
  bool labels_only = false;
  // Of each series only the newest sample of the range is looked at, its start timestamp not at
  // all. A store that has it at hand need not decode a chunk; others may give more.
  bool latest_only = false;
};

enum class SeriesOrder : uint8_t { kAny, kSorted };

struct LabelQueryHints {
  size_t limit = 0;  // 0: all.
};

// A consistent view of a store: sees each commit whole or not at all. Safe from any thread; holds
// no lock that stops appends.
class Querier {
 public:
  virtual ~Querier() = default;
  // Series that satisfy every matcher and have samples within hints.start_ms..end_ms clipped to
  // the querier's range.
  virtual Result<std::unique_ptr<SeriesSet>> Select(SeriesOrder order, const SelectHints& hints,
                                                    std::span<const Matcher> matchers) = 0;
  // Sorted, unique.
  virtual Result<std::vector<std::string>> LabelValues(std::string_view name,
                                                       const LabelQueryHints& hints,
                                                       std::span<const Matcher> matchers) = 0;
  virtual Result<std::vector<std::string>> LabelNames(const LabelQueryHints& hints,
                                                      std::span<const Matcher> matchers) = 0;
};

class Queryable {
 public:
  virtual ~Queryable() = default;
  virtual Result<std::unique_ptr<Querier>> OpenQuerier(TimeRange range) = 0;
};

struct SeriesExemplars {
  Labels series;
  std::vector<Exemplar> exemplars;
};

class ExemplarQueryable {
 public:
  virtual ~ExemplarQueryable() = default;
  // Exemplars within `range` of series that satisfy one of the matcher sets, sorted by series.
  virtual Result<std::vector<SeriesExemplars>> SelectExemplars(
      TimeRange range, const std::vector<std::vector<Matcher>>& matcher_sets) = 0;
};

// ---------------------------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------------------------

// A float sample of a series that the store already knows.
struct RefSample {
  SeriesRef ref = 0;
  int64_t timestamp_ms = 0;
  double value = 0;
};

enum class AppendOutcome : uint8_t {
  kAccepted,
  kUnknownSeries,  // The ref is gone: append again with labels.
  kOutOfOrder,
  kOutOfBounds,
  kTooOld,
  kDuplicate,
};

struct AppendOptions {
  // Start (created) timestamp; 0: unknown.
  int64_t start_timestamp_ms = 0;
  // A sample that would go out of order is refused even inside an out-of-order window.
  bool discard_out_of_order = false;
};

// One batch of samples that becomes visible, and durable in the WAL, as a whole. Used by one
// thread; after Commit or Rollback it is spent. Destroying it uncommitted rolls back.
class Appender {
 public:
  virtual ~Appender() = default;

  // Appends a sample. `ref` may be 0 or stale: then the series is found or made by its labels.
  // Gives the reference to use next time. Refusals have the codes kOutOfOrderSample, kOutOfBounds,
  // kTooOldSample, kDuplicateSample with upstream's texts.
  virtual Result<SeriesRef> Append(SeriesRef ref, const Labels& labels, int64_t timestamp_ms,
                                   double value, const AppendOptions& options) = 0;
  virtual Result<SeriesRef> AppendHistogram(SeriesRef ref, const Labels& labels,
                                            int64_t timestamp_ms, const Histogram& histogram,
                                            const AppendOptions& options) = 0;
  virtual Result<SeriesRef> AppendFloatHistogram(SeriesRef ref, const Labels& labels,
                                                 int64_t timestamp_ms,
                                                 const FloatHistogram& histogram,
                                                 const AppendOptions& options) = 0;
  // The fast path of a scrape whose series are all known: one call for the page. `outcomes` has
  // one entry a sample.
  virtual void AppendFloats(std::span<const RefSample> samples,
                            std::span<AppendOutcome> outcomes) = 0;

  // Codes kOutOfOrderExemplar, kDuplicateExemplar, kExemplarsDisabled, kInvalidInput, kNotFound.
  virtual Status AppendExemplar(SeriesRef ref, const Labels& labels, const Exemplar& exemplar) = 0;
  virtual Status UpdateMetadata(SeriesRef ref, const Labels& labels, const Metadata& metadata) = 0;
  // A zero sample at the start timestamp, before the first real one (feature
  // created-timestamp-zero-ingestion). `like` tells the kind: null for a float.
  virtual Result<SeriesRef> AppendStartZero(SeriesRef ref, const Labels& labels,
                                            int64_t timestamp_ms, int64_t start_timestamp_ms,
                                            const FloatHistogram* like) = 0;

  virtual Status Commit() = 0;
  virtual Status Rollback() = 0;
};

class Appendable {
 public:
  virtual ~Appendable() = default;
  virtual std::unique_ptr<Appender> NewAppender() = 0;
};

}  // namespace narthex::storage
