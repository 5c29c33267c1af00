// Parsers of what a target exposes: one stream of entries whatever the format.
//
//   auto parser = CreateParser(body, content_type, options);
//   while ((entry = parser->Next()) != Entry::kEnd) { if (entry == Entry::kError) …; … }
//
// The body must outlive the parser; views into it and into the parser hold until the next Next().
// Parsers allocate on construction and for what is out of the ordinary, not per line. A parser is
// used by one thread. Formats and error texts: upstream's, pinned by conformance/textparse.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"
#include "util/status.h"

namespace narthex::exposition {

enum class Entry : uint8_t {
  kEnd,    // The body ended as it should.
  kError,  // status() says why; nothing follows.
  kType,
  kHelp,
  kUnit,
  kComment,
  kSeries,     // A float sample.
  kHistogram,  // A native histogram sample.
};

struct ParserOptions {
  // Adds the labels __type__ and __unit__.
  bool type_and_unit_labels = false;
  // Takes histograms with native and classic parts for classic ones.
  bool ignore_native_histograms = false;
  // Turns classic histograms into native ones with custom buckets.
  bool convert_classic_to_custom = false;
  // Gives classic series as well where a histogram is also native or converted.
  bool keep_classic = false;
  // OpenMetrics 1: `_created` lines become start timestamps and are no series.
  bool skip_created_series = false;
};

class Parser {
 public:
  virtual ~Parser() = default;

  virtual Entry Next() = 0;
  // Why Next() gave kError.
  const Status& status() const { return status_; }

  // Of kType, kHelp, kUnit: the family as written. Of kType: its type. Of the others: the text,
  // unescaped.
  std::string_view family() const { return family_; }
  MetricType type() const { return type_; }
  std::string_view text() const { return text_; }

  // Of kSeries and kHistogram: bytes that name the series, the same for the same series whatever
  // its value, different for different ones within one format.
  std::string_view series() const { return series_; }
  double value() const { return value_; }
  // Exactly one is set for kHistogram.
  const Histogram* histogram() const { return histogram_; }
  const FloatHistogram* float_histogram() const { return float_histogram_; }
  std::optional<int64_t> timestamp_ms() const {
    return has_timestamp_ ? std::optional<int64_t>(timestamp_ms_) : std::nullopt;
  }

  // The labels of the current sample, bounds and quantiles in OpenMetrics' spelling. A name may
  // occur twice when the target wrote it twice.
  virtual Labels SeriesLabels() = 0;
  // The next exemplar of the current sample, if there is one more.
  virtual bool NextExemplar(Exemplar* exemplar) = 0;
  // The start timestamp of the current sample, 0 when unknown. May look ahead; ask only when
  // wanted, after everything else about the sample.
  virtual int64_t StartTimestampMs() = 0;

  // The fast path of a repeated scrape: when the next line is a plain float sample whose series is
  // the `length` bytes hashed `hash` (util/hash.h FastHash64), takes it as Next() would, but gives
  // only value() and timestamp_ms(). Otherwise changes nothing.
  virtual bool TakeKnownSeries(size_t length, uint64_t hash) {
    (void)length;
    (void)hash;
    return false;
  }

 protected:
  Entry Fail(Status status) {
    status_ = std::move(status);
    return Entry::kError;
  }

  Status status_;
  std::string_view family_;
  std::string_view text_;
  std::string_view series_;
  MetricType type_ = MetricType::kUnknown;
  bool has_timestamp_ = false;
  double value_ = 0;
  int64_t timestamp_ms_ = 0;
  const Histogram* histogram_ = nullptr;
  const FloatHistogram* float_histogram_ = nullptr;
};

std::unique_ptr<Parser> CreateTextParser(std::string_view body, const ParserOptions& options);
std::unique_ptr<Parser> CreateOpenMetricsParser(std::string_view body,
                                                const ParserOptions& options);
std::unique_ptr<Parser> CreateOpenMetrics2Parser(std::string_view body,
                                                 const ParserOptions& options);
std::unique_ptr<Parser> CreateProtobufParser(std::string_view body, const ParserOptions& options);
// Wraps a parser of a text format: collects classic histogram series and gives histograms with
// custom buckets.
std::unique_ptr<Parser> CreateConvertingParser(std::unique_ptr<Parser> inner,
                                               const ParserOptions& options);

}  // namespace narthex::exposition
