// HTTP calls of a mechanism: one configuration block, one timeout, one bound for answers.
//
//   NARTHEX_CO_TRY(const FetchResponse answer, co_await api_.Send(api_.Get(url)));
//   NARTHEX_CO_TRY(const std::string body, co_await api_.GetBody(url));
//
// Requests that nobody waits for any more (their Async was destroyed) are cancelled. Streams (a
// Kubernetes watch) are read line by line. All of it on the loop.
#pragma once

#include <coroutine>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "discovery/async.h"
#include "discovery/discoverer.h"
#include "discovery/http/fetch.h"

namespace narthex {

// Answers above this are an error; upstream has no bound here.
inline constexpr uint64_t kApiBodyBytesMax = 256 << 20;

// Waits for the answer to one request.
class FetchAwaiter {
 public:
  FetchAwaiter(TaskLoop& loop, HttpFetcher& http, FetchRequest request);
  FetchAwaiter(const FetchAwaiter&) = delete;
  FetchAwaiter& operator=(const FetchAwaiter&) = delete;
  ~FetchAwaiter();
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle);
  Result<FetchResponse> await_resume();

 private:
  struct Shared;
  TaskLoop& loop_;
  HttpFetcher& http_;
  FetchRequest request_;
  HttpFetcher::RequestId id_ = 0;
  std::shared_ptr<Shared> shared_;
};

// An answer that arrives over minutes, in lines. At most kBufferBytesMax wait to be read; a peer
// that sends more in one go loses its connection.
class LineStream {
 public:
  static constexpr size_t kBufferBytesMax = 64 << 20;

  LineStream(TaskLoop& loop, HttpFetcher& http, FetchRequest request);
  LineStream(const LineStream&) = delete;
  LineStream& operator=(const LineStream&) = delete;
  ~LineStream();

  // co_await stream.Next(): the next whole line without its end; nothing at the end of the stream,
  // and then outcome() says how it ended.
  struct NextLine {
    LineStream& stream;
    bool await_ready() const { return stream.HasLine(); }
    void await_suspend(std::coroutine_handle<> handle) { stream.waiting_ = handle; }
    std::optional<std::string> await_resume() { return stream.TakeLine(); }
  };
  NextLine Next() { return NextLine{*this}; }
  // After the end: the final answer. Its body is that of a refusal (a status other than 2xx).
  const Result<FetchResponse>& outcome() const { return *outcome_; }

 private:
  friend struct NextLine;
  struct Shared;
  bool HasLine();
  std::optional<std::string> TakeLine();
  void Wake();

  HttpFetcher& http_;
  HttpFetcher::RequestId id_ = 0;
  std::shared_ptr<Shared> shared_;
  std::string text_;
  size_t taken_ = 0;    // Bytes of text_ that were handed out.
  size_t scanned_ = 0;  // Bytes of text_ known to hold no further line end.
  std::optional<Result<FetchResponse>> outcome_;
  std::coroutine_handle<> waiting_;
};

// The client of an entry that has no options for it but those of TLS.
HttpClientConfig ClientWithTls(const TlsConfig& tls);

class ApiClient {
 public:
  // `environment.http` is not null.
  ApiClient(DiscoveryEnvironment& environment, const HttpClientConfig& config,
            int64_t timeout_nanos);

  // Requests with User-Agent, this client's timeout, bound and configuration filled in.
  FetchRequest Get(std::string url) const { return Make("GET", std::move(url)); }
  FetchRequest Make(std::string method, std::string url, std::string body = "",
                    std::string_view content_type = "") const;

  FetchAwaiter Send(FetchRequest request) const {
    return {*environment_.loop, *environment_.http, std::move(request)};
  }
  LineStream Stream(FetchRequest request) const {
    return {*environment_.loop, *environment_.http, std::move(request)};
  }
  // The body of an answer with status 200; any other status is an error
  // `server returned HTTP status 404 Not Found`.
  Async<Result<std::string>> GetBody(std::string url) const;
  Async<Result<std::string>> SendForBody(FetchRequest request) const;

  // A token that stands in a file, without the space around it. Errors: `unable to read auth token
  // file <path>: …`.
  Result<std::string> ReadTokenFile(const std::string& path) const;

  DiscoveryEnvironment& environment() const { return environment_; }
  int64_t timeout_nanos() const { return timeout_nanos_; }

 private:
  DiscoveryEnvironment& environment_;
  const std::shared_ptr<const HttpClientConfig> config_;
  const int64_t timeout_nanos_;
};

// The frame of mechanisms that refresh with HTTP calls: FetchGroups() is a coroutine, started every
// interval and dropped by Stop().
class ApiDiscoverer : public RefreshDiscoverer {
 public:
  using Groups = Result<std::vector<TargetGroup>>;
  ApiDiscoverer(std::string mechanism, std::string set_name, int64_t interval_nanos,
                DiscoveryEnvironment& environment, const HttpClientConfig& config)
      : RefreshDiscoverer(std::move(mechanism), std::move(set_name), interval_nanos, environment),
        api_(environment, config, interval_nanos) {}

 protected:
  virtual Async<Groups> FetchGroups() = 0;
  void Count(std::string_view counter) {
    if (environment().metrics != nullptr) environment().metrics->Add(counter, {});
  }
  const ApiClient& api() const { return api_; }

 private:
  void Refresh(Done done) final;
  void OnStop() final { running_.Reset(); }

  const ApiClient api_;
  Async<Groups> running_;
};

// A factory for mechanisms that need HTTP: `make(config, set_name, environment)`, where there is a
// client.
template <typename Config, typename Make>
void RegisterApiMechanism(DiscoveryRegistry& registry, std::string mechanism, Make make) {
  registry.Register(
      std::move(mechanism),
      [make](const SdConfig& config, const std::string& set_name,
             DiscoveryEnvironment& environment) -> Result<std::unique_ptr<Discoverer>> {
        if (environment.http == nullptr) {
          return MakeError(ErrorCode::kUnsupported, "there is no HTTP client");
        }
        return make(*config.As<Config>(), set_name, environment);
      });
}

// Likewise, of `D(config, set_name, environment)`.
template <typename D, typename Config>
void RegisterApiMechanism(DiscoveryRegistry& registry, std::string mechanism) {
  RegisterApiMechanism<Config>(
      registry, std::move(mechanism),
      [](const Config& config, const std::string& set_name, DiscoveryEnvironment& environment) {
        return std::unique_ptr<Discoverer>(new D(config, set_name, environment));
      });
}

}  // namespace narthex
