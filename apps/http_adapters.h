// Joins the engines' small HTTP interfaces to the one HTTP client.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "config/http_client_config.h"
#include "discovery/http/fetch.h"
#include "net/http_client.h"
#include "net/reactor.h"
#include "notifier/notifier.h"
#include "scrape/fetcher.h"

namespace narthex::apps {

// The client's view of a configuration block. Errors are upstream's on making a client.
Result<std::shared_ptr<const net::HttpClientOptions>> ToClientOptions(
    const HttpClientConfig& config);

// Blocks that were seen before: a token that one request fetched serves the others of its block.
// Threads: any.
class ClientOptionsCache {
 public:
  using Options = std::shared_ptr<const net::HttpClientOptions>;
  // By the block's address, for as long as the block lives. `make` is asked the first time.
  Result<Options> Get(const std::shared_ptr<const void>& block,
                      const std::function<Result<Options>()>& make);

 private:
  struct Entry {
    std::weak_ptr<const void> block;
    Options options;
  };
  std::mutex mutex_;
  std::unordered_map<const void*, Entry> entries_;
};

// HTTP for service discovery.
class DiscoveryFetcher : public HttpFetcher {
 public:
  explicit DiscoveryFetcher(net::HttpClient& client) : client_(client) {}
  RequestId Fetch(FetchRequest request, std::function<void(Result<FetchResponse>)> done) override;
  void Cancel(RequestId id) override { client_.Cancel(id); }

 private:
  net::HttpClient& client_;
  ClientOptionsCache options_;
};

// HTTP and timers for scraping.
class ScrapeFetcher : public scrape::Fetcher {
 public:
  explicit ScrapeFetcher(net::HttpClient& client) : client_(client) {}
  Result<std::shared_ptr<const scrape::HttpClientHandle>> CreateClient(
      const HttpClientConfig& config) override;
  RequestId Fetch(scrape::FetchRequest request, Callback done) override;
  void Cancel(RequestId id) override { client_.Cancel(id); }
  void Recycle(std::string&& body) override { client_.Recycle(std::move(body)); }

 private:
  net::HttpClient& client_;
};

// Timers on the thread that sends what they call for.
class ReactorTimers : public scrape::TimerService {
 public:
  explicit ReactorTimers(net::Reactor& reactor) : reactor_(reactor) {}
  TimerId RunAfter(int64_t delay_nanos, std::function<void()> function) override {
    return reactor_.RunAfter(delay_nanos, std::move(function));
  }
  bool Cancel(TimerId id) override { return reactor_.Cancel(id); }

 private:
  net::Reactor& reactor_;
};

// HTTP for the notifier.
notifier::Post MakeNotifierPost(net::HttpClient& client, std::string user_agent);

}  // namespace narthex::apps
