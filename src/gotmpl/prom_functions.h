// The functions that Prometheus adds to templates of alerts and consoles, and their data.
//
//   ExpanderOptions options{.time_ms = slot, .external_url = url, .query = RunQuery};
//   Expander expander("__alert_Down", "{{ $labels.job }} …", AlertData(…), options);
//   Result<std::string> text = expander.Expand();
//
// Specification: parity/rules-alerting.md section 6. Queries go through a callback: nothing here
// knows the engine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gotmpl/template.h"
#include "gotmpl/value.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "util/status.h"

namespace narthex::gotmpl {

// One element of an instant query's result.
struct QuerySample {
  Labels labels;
  double value = 0;
  std::shared_ptr<const FloatHistogram> histogram;  // Set: instead of `value`.
};
// An instant query at the time of the expansion.
using QueryFunction =
    std::function<Result<std::vector<QuerySample>>(std::string_view query, int64_t time_ms)>;

struct ExpanderOptions {
  int64_t time_ms = 0;  // What `now` says and queries run at.
  std::string external_url;
  std::string external_path;  // The path of it.
  QueryFunction query;
  MissingKey missing_key = MissingKey::kZero;
  ExecutionLimits limits;
};

// Prometheus' functions alone, for templates of one's own.
FunctionMap PromFunctions(const ExpanderOptions& options);

// What alert templates see as dot: Labels, ExternalLabels, ExternalURL, Value.
Value AlertData(const std::map<std::string, std::string>& labels,
                const std::map<std::string, std::string>& external_labels,
                std::string_view external_url, double value,
                std::shared_ptr<const FloatHistogram> histogram = nullptr);
// What rules put in front of every template of an alert, so that it can say $labels and $value.
inline constexpr std::string_view kAlertDefinitions =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}";

// A sample's value: float64 or *histogram.FloatHistogram.
Value MakeSampleValue(double value, std::shared_ptr<const FloatHistogram> histogram);
Value MakeSample(const QuerySample& sample);        // *template.sample
Value MakeQueryResult(std::vector<Value> samples);  // template.queryResult

class Expander {
 public:
  // `data` is what the template sees as dot.
  Expander(std::string name, std::string text, Value data, ExpanderOptions options);

  void AddFunction(std::shared_ptr<const Function> function);

  // Errors: "error parsing template NAME: …", "error executing template NAME: …".
  Result<std::string> Expand() const;
  // With escaping for HTML; `files` are name and text of further templates, parsed afterwards.
  Result<std::string> ExpandHtml(
      const std::vector<std::pair<std::string, std::string>>& files = {}) const;
  // Only parses.
  Status ParseTest() const;

 private:
  std::string name_;
  std::string text_;
  Value data_;
  ExpanderOptions options_;
  FunctionMap functions_;
};

}  // namespace narthex::gotmpl
