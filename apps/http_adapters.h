// Joins the engines' small HTTP interfaces to the one HTTP client.
#pragma once

#include <memory>
#include <string>

#include "config/http_client_config.h"
#include "discovery/http/fetch.h"
#include "net/event_loop.h"
#include "net/http_client.h"
#include "notifier/notifier.h"
#include "scrape/fetcher.h"

namespace narthex::apps {

// The client's view of a configuration block. Files of header values and user names are read here,
// once; passwords and tokens at each request.
Result<std::shared_ptr<const net::HttpClientOptions>> ToClientOptions(
    const HttpClientConfig& config);

// HTTP for service discovery.
class DiscoveryFetcher : public HttpFetcher {
 public:
  explicit DiscoveryFetcher(net::HttpClient& client) : client_(client) {}
  RequestId Fetch(FetchRequest request, std::function<void(Result<FetchResponse>)> done) override;
  void Cancel(RequestId id) override { client_.Cancel(id); }

 private:
  net::HttpClient& client_;
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

class LoopTimers : public scrape::TimerService {
 public:
  explicit LoopTimers(net::EventLoop& loop) : loop_(loop) {}
  TimerId RunAfter(int64_t delay_nanos, std::function<void()> function) override {
    return loop_.RunAfter(delay_nanos, std::move(function));
  }
  bool Cancel(TimerId id) override { return loop_.Cancel(id); }

 private:
  net::EventLoop& loop_;
};

// HTTP for the notifier.
notifier::Post MakeNotifierPost(net::HttpClient& client, std::string user_agent);

}  // namespace narthex::apps
