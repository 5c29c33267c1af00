// Pieces that the text formats share. For the writers alone.
#pragma once

#include <string>
#include <string_view>

#include "narthex/client/exposition.h"
#include "narthex/client/names.h"

namespace narthex::client {

enum class QuoteEscape : unsigned char { kNo, kYes };
enum class FloatStyle : unsigned char { kPlain, kOpenMetrics };

// Backslash and line feed escaped, and quotes where asked for.
void AppendEscaped(std::string_view text, QuoteEscape quotes, std::string& out);
// Legacy names as they are, others quoted.
void AppendName(std::string_view name, std::string& out);
// `# KEYWORD name ` with the space.
void AppendComment(std::string_view keyword, std::string_view name, std::string& out);
// a="b",c="d"
void AppendLabels(const LabelPair* begin, const LabelPair* end, std::string& out);
// A name that many series have, looked at once: name{labels} or {"name",labels}.
class SeriesName {
 public:
  explicit SeriesName(std::string_view name);
  // `extra` is `le` or `quantile`, or empty.
  void Append(const LabelSet& labels, std::string_view extra, double extra_value, FloatStyle style,
              std::string& out) const;

 private:
  std::string text_;
  char separator_ = '{';
};
// One series of a name.
void AppendSeries(std::string_view name, const LabelSet& labels, FloatStyle style,
                  std::string& out);
// While metrics[at] is written: has the labels of one further on fetched from memory.
void PrefetchLabels(const std::vector<Metric>& metrics, size_t at);

// `expected counter in metric <name> <metric>` when the value is not of the family's type.
Status CheckValue(const MetricFamily& family, std::string_view shown_name, const Metric& metric);
// Upstream's text for a family without a name.
Status NoName(const MetricFamily& family);

// True when the text ends in `suffix`.
inline bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

}  // namespace narthex::client
