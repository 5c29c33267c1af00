#include "discovery/http/http_discoverer.h"

#include "discovery/http/fetch.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kUrlLabel = "__meta_url";
// Upstream reads whatever comes; a list of a million targets stays below this.
constexpr uint64_t kBodyBytesMax = 256 << 20;

std::string SourceOf(const std::string& url, size_t index) {
  return fmt::format("{}:{}", url, index);
}

Result<std::vector<TargetGroup>> ReadAnswer(const std::string& url,
                                            const Result<FetchResponse>& answer) {
  if (!answer.ok()) return answer.status();
  if (answer->status_code != 200) {
    return MakeError(ErrorCode::kUnavailable, "server returned HTTP status {}", answer->status);
  }
  const std::string_view content_type = answer->Header("Content-Type");
  if (!IsJsonContentType(TrimSpace(content_type))) {
    return MakeError(ErrorCode::kInvalidInput, "unsupported content type {}",
                     GoQuote(content_type));
  }
  NARTHEX_TRY(std::vector<TargetGroup> groups, ParseTargetGroupsJson(answer->body));
  for (size_t i = 0; i < groups.size(); ++i) {
    groups[i].source = SourceOf(url, i);
    groups[i].labels[std::string(kUrlLabel)] = url;
  }
  return groups;
}

class HttpDiscoverer : public RefreshDiscoverer {
 public:
  HttpDiscoverer(const HttpSdConfig& config, std::string set_name,
                 DiscoveryEnvironment& environment)
      : RefreshDiscoverer("http", std::move(set_name), config.refresh_interval.nanos, environment),
        config_(config),
        client_(std::make_shared<const HttpClientConfig>(config.http_client)) {}

 private:
  void Refresh(Done done) override {
    FetchRequest request;
    request.url = config_.url;
    request.headers = {{"User-Agent", environment().user_agent},
                       {"Accept", "application/json"},
                       {"X-Prometheus-Refresh-Interval-Seconds",
                        FormatFloatF(config_.refresh_interval.seconds())}};
    request.timeout_nanos = config_.refresh_interval.nanos;
    request.body_bytes_max = kBodyBytesMax;
    request.client = client_;
    // The answer may outlive us, so it takes along what it needs.
    environment().http->Fetch(std::move(request),
                              [url = config_.url, metrics = environment().metrics,
                               done = std::move(done)](Result<FetchResponse> answer) {
                                Result<std::vector<TargetGroup>> groups = ReadAnswer(url, answer);
                                if (!groups.ok() && metrics != nullptr) {
                                  metrics->Add("prometheus_sd_http_failures_total", {});
                                }
                                done(std::move(groups));
                              });
  }

  // Groups that the list has no longer are emptied.
  void BeforePublish(std::vector<TargetGroup>& groups) override {
    const size_t count = groups.size();
    for (size_t i = count; i < last_count_; ++i) {
      groups.push_back({.source = SourceOf(config_.url, i), .labels = {}, .targets = {}});
    }
    last_count_ = count;
  }

  const HttpSdConfig config_;
  const std::shared_ptr<const HttpClientConfig> client_;
  size_t last_count_ = 0;
};

}  // namespace

bool IsJsonContentType(std::string_view header) {
  const std::string lower = ToLower(header);
  std::string_view rest = lower;
  constexpr std::string_view kType = "application/json";
  if (!rest.starts_with(kType)) return false;
  rest.remove_prefix(kType.size());
  if (rest.empty()) return true;
  if (rest.front() != ';') return false;
  rest = TrimSpace(rest.substr(1));
  return rest == "charset=utf-8" || rest == "charset=\"utf-8\"";
}

void RegisterHttpDiscovery(DiscoveryRegistry& registry) {
  registry.Register("http",
                    [](const SdConfig& config, const std::string& set_name,
                       DiscoveryEnvironment& environment) -> Result<std::unique_ptr<Discoverer>> {
                      if (environment.http == nullptr) {
                        return MakeError(ErrorCode::kUnsupported, "there is no HTTP client");
                      }
                      return std::unique_ptr<Discoverer>(
                          new HttpDiscoverer(*config.As<HttpSdConfig>(), set_name, environment));
                    });
}

}  // namespace narthex
