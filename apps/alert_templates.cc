#include "apps/alert_templates.h"

#include <memory>

#include "net/url.h"

namespace narthex::apps {
namespace {

std::string WithDefinitions(std::string_view text) {
  return std::string(gotmpl::kAlertDefinitions) + std::string(text);
}

}  // namespace

std::map<std::string, std::string> LabelMap(const Labels& labels) {
  std::map<std::string, std::string> map;
  for (const LabelView& label : labels) map.emplace(label.name, label.value);
  return map;
}

gotmpl::QueryFunction TemplateQueries(promql::Engine& engine, storage::Queryable& store) {
  return [&engine, &store](std::string_view query,
                           int64_t time_ms) -> Result<std::vector<gotmpl::QuerySample>> {
    NARTHEX_TRY(promql::QueryResult result, engine.Instant(store, query, time_ms));
    std::vector<gotmpl::QuerySample> samples;
    if (result.type == promql::ValueType::kScalar) {
      samples.push_back({{}, result.scalar, nullptr});
      return samples;
    }
    if (result.type != promql::ValueType::kVector) {
      return Status(ErrorCode::kExecution, "query result is not a vector or scalar");
    }
    for (promql::InstantSample& sample : result.vector) {
      samples.push_back({std::move(sample.labels), sample.value, std::move(sample.histogram)});
    }
    return samples;
  };
}

Status CheckAlertTemplate(std::string_view name, std::string_view text) {
  const gotmpl::Expander expander(std::string(name), WithDefinitions(text),
                                  gotmpl::AlertData({}, {}, "", 0), {});
  return expander.ParseTest();
}

Result<std::string> ExpandAlertTemplate(promql::Engine& engine, storage::Queryable& store,
                                        std::string_view name, std::string_view text,
                                        const rules::TemplateData& data) {
  // Most labels and many annotations are plain text.
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  gotmpl::ExpanderOptions options;
  options.time_ms = data.time_ms;
  options.external_url = data.external_url;
  if (const Result<net::Url> url = net::ParseUrl(data.external_url); url.ok()) {
    options.external_path = url->path;
  }
  options.query = TemplateQueries(engine, store);
  std::shared_ptr<const FloatHistogram> histogram;
  if (data.histogram != nullptr) {
    histogram = std::make_shared<const FloatHistogram>(*data.histogram);
  }
  const gotmpl::Expander expander(
      std::string(name), WithDefinitions(text),
      gotmpl::AlertData(LabelMap(data.labels), LabelMap(data.external_labels), data.external_url,
                        data.value, std::move(histogram)),
      std::move(options));
  return expander.Expand();
}

}  // namespace narthex::apps
