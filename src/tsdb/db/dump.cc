#include "tsdb/db/dump.h"

#include <memory>
#include <string>

#include "util/numbers.h"

namespace narthex::tsdb {

Status DumpSeries(storage::Querier& querier, TimeRange range, std::span<const Matcher> matchers,
                  const std::function<Status(std::string_view line)>& print) {
  storage::SelectHints hints;
  hints.start_ms = range.start_ms;
  hints.end_ms = range.end_ms;
  NARTHEX_TRY(const std::unique_ptr<storage::SeriesSet> set,
              querier.Select(storage::SeriesOrder::kSorted, hints, matchers));
  storage::SampleColumns columns;
  std::string line;
  while (const std::unique_ptr<storage::Series> series = set->Next()) {
    const std::string labels = series->labels().ToString();
    columns.Clear();
    NARTHEX_RETURN_IF_ERROR(series->Read(&columns));
    for (size_t i = 0; i < columns.size(); ++i) {
      line = labels;
      line += ' ';
      const FloatHistogram* histogram = columns.histogram(i);
      line += histogram != nullptr ? histogram->ToString() : FormatFloatG(columns.values[i]);
      line += ' ';
      line += std::to_string(columns.timestamps_ms[i]);
      line += '\n';
      NARTHEX_RETURN_IF_ERROR(print(line));
    }
  }
  return set->status();
}

}  // namespace narthex::tsdb
