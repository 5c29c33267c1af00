#include "discovery/moby/engine_client.h"

#include <charconv>

#include "discovery/json_labels.h"
#include "net/url.h"
#include "util/strings.h"

namespace narthex {

namespace {

// What this client knows; daemons that are newer speak it too.
constexpr int kMinorMax = 56;
constexpr int kMinorMin = 40;

// The minor number of "1.47", or 0.
int MinorOf(std::string_view version) {
  int minor = 0;
  if (!version.starts_with("1.")) return 0;
  version.remove_prefix(2);
  std::from_chars(version.data(), version.data() + version.size(), minor);
  return minor;
}

}  // namespace

DockerEngine::DockerEngine(const std::string& host, const std::vector<DockerFilter>& filters) {
  if (host.starts_with("unix://")) {
    unix_socket_ = host.substr(7);
    base_url_ = "http://localhost";
  } else if (host.starts_with("tcp://")) {
    base_url_ = "http://" + host.substr(6);
  } else {
    base_url_ = host;
  }
  while (base_url_.ends_with('/')) base_url_.pop_back();
  json::object wanted;
  for (const DockerFilter& filter : filters) {
    for (const std::string& value : filter.values) {
      if (!wanted.contains(filter.name)) wanted[filter.name] = json::object();
      wanted[filter.name].as_object()[value] = true;
    }
  }
  if (!wanted.empty()) filters_ = "?filters=" + net::QueryEscape(json::serialize(wanted));
}

Async<Result<FetchResponse>> DockerEngine::Send(const ApiClient& api, std::string method,
                                                std::string path) {
  FetchRequest request = api.Make(std::move(method), base_url_ + path);
  request.unix_socket = unix_socket_;
  co_return co_await api.Send(std::move(request));
}

Async<Status> DockerEngine::Negotiate(const ApiClient& api) {
  Result<FetchResponse> pong = co_await Send(api, "HEAD", "/_ping");
  // Daemons and proxies that refuse HEAD answer GET.
  if (pong.ok() && pong->status_code != 200) pong = co_await Send(api, "GET", "/_ping");
  if (!pong.ok()) co_return pong.status();
  const std::string_view spoken = pong->Header("Api-Version");
  const int minor = spoken.empty() ? kMinorMax : MinorOf(spoken);
  if (minor < kMinorMin) {
    co_return MakeError(ErrorCode::kUnsupported,
                        "API version {} is not supported by this client: the minimum supported "
                        "API version is 1.{}",
                        spoken, kMinorMin);
  }
  version_ = fmt::format("1.{}", std::min(minor, kMinorMax));
  co_return Status();
}

Async<Result<json::array>> DockerEngine::List(const ApiClient& api, std::string path,
                                              bool filtered) {
  if (version_.empty()) {
    const Status status = co_await Negotiate(api);
    if (!status.ok()) co_return status;
  }
  NARTHEX_CO_TRY(
      const FetchResponse answer,
      co_await Send(api, "GET", fmt::format("/v{}{}{}", version_, path, filtered ? filters_ : "")));
  if (answer.status_code != 200) {
    version_.clear();  // The daemon may have been replaced by another one.
    const Result<json::object> said = ParseJsonObject(answer.body);
    const std::string message = said.ok() ? Text(*said, "message") : "";
    co_return MakeError(ErrorCode::kUnavailable, "Error response from daemon: {}",
                        message.empty() ? answer.status : message);
  }
  co_return ParseJsonArray(answer.body);
}

Async<Result<std::map<std::string, TextMap>>> DockerEngine::NetworkLabels(const ApiClient& api,
                                                                          std::string prefix) {
  NARTHEX_CO_TRY(const json::array networks, co_await List(api, "/networks", false));
  const auto truth = [](bool value) { return value ? "true" : "false"; };
  prefix += "network_";
  std::map<std::string, TextMap> labels;
  for (const json::value& network : networks) {
    TextMap& own = labels[Text(network, "Id")];
    own[prefix + "id"] = Text(network, "Id");
    own[prefix + "name"] = Text(network, "Name");
    own[prefix + "scope"] = Text(network, "Scope");
    own[prefix + "internal"] = truth(Bool(network, "Internal"));
    own[prefix + "ingress"] = truth(Bool(network, "Ingress"));
    AddLabels(Object(network, "Labels"), prefix + "label_", &own);
  }
  co_return labels;
}

}  // namespace narthex
