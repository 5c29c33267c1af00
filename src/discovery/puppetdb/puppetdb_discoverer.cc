#include "discovery/puppetdb/puppetdb_discoverer.h"

#include "config/sd_mechanisms.h"
#include "discovery/http/http_discoverer.h"
#include "discovery/http/json_api.h"
#include "net/url.h"
#include "util/numbers.h"

namespace narthex {

namespace {

std::string ScalarText(const json::value& value) {
  if (value.is_number()) return FormatFloatG(value.to_number<double>());
  return AsPrinted(value);
}

// A resource's parameters as labels: lists are joined, maps become labels of their own under the
// name of the parameter, what is empty is left out.
TextMap ParameterLabels(const json::object& parameters) {
  TextMap labels;
  for (const auto& [key, value] : parameters) {
    const std::string name = SanitizeLabelName(key);
    if (value.is_object()) {
      for (auto& [inner, text] : ParameterLabels(value.get_object())) {
        labels[name + "_" + inner] = text;
      }
      continue;
    }
    std::string text;
    if (const json::array* list = value.if_array()) {
      for (size_t i = 0; i < list->size(); ++i) {
        if (i > 0) text += ',';
        text += ScalarText((*list)[i]);
      }
    } else {
      text = ScalarText(value);
    }
    if (!text.empty()) labels[name] = std::move(text);
  }
  return labels;
}

// The query's URL: path.Join of Go also drops slashes at the end and doubled ones.
std::string QueryUrl(std::string_view base) {
  const size_t tail = std::min(base.find_first_of("?#"), base.size());
  std::string url(base.substr(0, tail));
  while (url.ends_with('/')) url.pop_back();
  return url + "/pdb/query/v4" + std::string(base.substr(tail));
}

class PuppetdbDiscoverer : public ApiDiscoverer {
 public:
  PuppetdbDiscoverer(const PuppetdbSdConfig& config, std::string set_name,
                     DiscoveryEnvironment& environment)
      : ApiDiscoverer("puppetdb", std::move(set_name), config.refresh_interval.nanos, environment,
                      config.http_client),
        config_(config),
        url_(QueryUrl(config.url)) {}

 private:
  Async<Groups> FetchGroups() override {
    FetchRequest request = api().Make(
        "POST", url_, json::serialize(json::object{{"query", config_.query}}), "application/json");
    request.headers.emplace_back("Accept", "application/json");
    NARTHEX_CO_TRY(const FetchResponse answer, co_await api().Send(std::move(request)));
    if (answer.status_code != 200) {
      co_return MakeError(ErrorCode::kUnavailable, "server returned HTTP status {}", answer.status);
    }
    if (const std::string_view type = answer.Header("Content-Type"); !IsJsonContentType(type)) {
      co_return MakeError(ErrorCode::kInvalidInput, "unsupported content type {}", type);
    }
    NARTHEX_CO_TRY(const json::array resources, ParseJsonArray(answer.body));
    std::vector<TargetGroup> groups(1);
    groups[0].source = url_ + "?query=" + config_.query;
    for (const json::value& resource : resources) {
      groups[0].targets.push_back(ResourceTarget(resource));
    }
    co_return groups;
  }

  TargetLabels ResourceTarget(const json::value& resource) const {
    const std::string name = Text(resource, "certname");
    TextMap labels = {
        {std::string(kAddressLabel), JoinHostPort(name, config_.port)},
        {"__meta_puppetdb_certname", name},
        {"__meta_puppetdb_environment", Text(resource, "environment")},
        {"__meta_puppetdb_exported", Bool(resource, "exported") ? "true" : "false"},
        {"__meta_puppetdb_file", Text(resource, "file")},
        {"__meta_puppetdb_query", config_.query},
        {"__meta_puppetdb_resource", Text(resource, "resource")},
        {"__meta_puppetdb_title", Text(resource, "title")},
        {"__meta_puppetdb_type", Text(resource, "type")},
    };
    SetList("__meta_puppetdb_tags", Texts(Array(resource, "tags")), ",", &labels);
    if (config_.include_parameters) {
      for (auto& [key, value] : ParameterLabels(Object(resource, "parameters"))) {
        labels["__meta_puppetdb_parameter_" + key] = value;
      }
    }
    return ToTarget(std::move(labels));
  }

  const PuppetdbSdConfig config_;
  const std::string url_;
};

}  // namespace

void RegisterPuppetdbDiscovery(DiscoveryRegistry& registry) {
  RegisterApiMechanism<PuppetdbDiscoverer, PuppetdbSdConfig>(registry, "puppetdb");
}

}  // namespace narthex
