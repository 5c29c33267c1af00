// A scripted HTTP API in place of the network, and a discoverer under test with it. No sockets, no
// threads, no waiting: the test moves the clock. For tests of discovery mechanisms only.
//
//   DiscoveryTest: api.Serve("GET http://host/v1/things?limit=5", R"([…])");
//                  Start("nomad_sd_configs:\n- server: http://host");
//                  EXPECT_EQ(Seen(), "…");  // Print() says how groups are written.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"
#include "discovery/discoverer.h"
#include "discovery/http/fetch.h"
#include "util/strings.h"

namespace narthex::testing {

inline FetchResponse Answer(std::string body, int status = 200,
                            std::vector<std::pair<std::string, std::string>> headers = {}) {
  std::string text = std::to_string(status) + (status == 200 ? " OK" : " Refused");
  return {status, std::move(text), std::move(headers), std::move(body)};
}

// Routes are "METHOD url", with the query or without it: the exact one wins, then the one without
// the query; anything else gets a 404.
class FakeApi : public HttpFetcher {
 public:
  // Nothing: the request stays open until the test completes it.
  using Reply = std::optional<Result<FetchResponse>>;
  using Handler = std::function<Reply(const FetchRequest& request)>;

  struct Open {
    RequestId id = 0;
    FetchRequest request;
    std::function<void(Result<FetchResponse>)> done;
  };

  void Serve(const std::string& route, std::string body) {
    Serve(route, [body = std::move(body)](const FetchRequest&) -> Reply { return Answer(body); });
  }
  void Serve(const std::string& route, Handler handler) { routes_[route] = std::move(handler); }
  void ServeError(const std::string& route, Status error) {
    Serve(route, [error](const FetchRequest&) -> Reply { return Result<FetchResponse>(error); });
  }
  void ServeStatus(const std::string& route, int status, std::string body = "") {
    Serve(route, [status, body = std::move(body)](const FetchRequest&) -> Reply {
      return Answer(body, status);
    });
  }
  // Requests of this route stay open.
  void Hold(const std::string& route) {
    Serve(route, [](const FetchRequest&) -> Reply { return std::nullopt; });
  }

  RequestId Fetch(FetchRequest request, std::function<void(Result<FetchResponse>)> done) override {
    const std::string route = request.method + " " + request.url;
    log.push_back(route);
    requests.push_back(request);
    auto found = routes_.find(route);
    if (found == routes_.end()) found = routes_.find(route.substr(0, route.find('?')));
    const RequestId id = requests.size();
    Reply reply = found == routes_.end() ? Reply(Answer("no such route: " + route, 404))
                                         : found->second(request);
    if (!reply) {
      open.push_back({id, std::move(request), std::move(done)});
    } else if (request.on_data && reply->ok() && (*reply)->status_code / 100 == 2) {
      request.on_data((*reply)->body);
      (*reply)->body.clear();
      done(*std::move(reply));
    } else if (reply->ok() && request.body_bytes_max > 0 &&
               (*reply)->body.size() > request.body_bytes_max) {
      done(Status(ErrorCode::kLimitExceeded, "body size limit exceeded"));
    } else {
      done(*std::move(reply));
    }
    return id;
  }
  void Cancel(RequestId id) override {
    for (size_t i = 0; i < open.size(); ++i) {
      if (open[i].id != id) continue;
      Open canceled = std::move(open[i]);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
      canceled.done(Status(ErrorCode::kCanceled, "context canceled"));
      return;
    }
  }

  // The open request whose "METHOD url" starts like this, or null.
  Open* FindOpen(std::string_view prefix) {
    for (Open& candidate : open) {
      const std::string route = candidate.request.method + " " + candidate.request.url;
      if (route.starts_with(prefix)) return &candidate;
    }
    return nullptr;
  }
  // Ends the open request with an answer. The test fails if there is none.
  void Complete(std::string_view prefix, Result<FetchResponse> response) {
    Open* found = FindOpen(prefix);
    ASSERT_NE(found, nullptr) << "no open request " << prefix;
    Open completed = std::move(*found);
    open.erase(open.begin() + (found - open.data()));
    completed.done(std::move(response));
  }
  // Sends a part of an open stream; false when the client broke off.
  bool Push(std::string_view prefix, std::string_view part) {
    Open* found = FindOpen(prefix);
    EXPECT_NE(found, nullptr) << "no open stream " << prefix;
    return found != nullptr && found->request.on_data(part);
  }
  size_t CountOf(std::string_view prefix) const {
    size_t count = 0;
    for (const std::string& route : log) count += route.starts_with(prefix) ? 1 : 0;
    return count;
  }

  std::vector<FetchRequest> requests;  // In order of arrival.
  std::vector<std::string> log;        // Their routes.
  std::vector<Open> open;

 private:
  std::map<std::string, Handler> routes_;
};

// Groups by source, as a consumer would keep them, in lines:
//   source {common labels}
//     address label=value label=value …
// with labels sorted and without the prefix __meta_.
inline std::string Print(const std::map<std::string, TargetGroupPtr>& groups) {
  const auto short_name = [](std::string_view name) {
    return name.starts_with("__meta_") ? name.substr(7) : name;
  };
  std::string out;
  for (const auto& [source, group] : groups) {
    out += source + " {";
    for (const auto& [name, value] : group->labels) {
      out +=
          std::string(out.ends_with('{') ? "" : " ") + std::string(short_name(name)) + "=" + value;
    }
    out += "}\n";
    for (TargetLabels target : group->targets) {
      std::sort(target.begin(), target.end());
      out += "  " + std::string(GetLabel(target, kAddressLabel));
      for (const auto& [name, value] : target) {
        if (name == kAddressLabel) continue;
        out += " " + std::string(short_name(name)) + "=" + value;
      }
      out += "\n";
    }
  }
  return out;
}

// A mechanism under test: its entry written as in prometheus.yml.
class DiscoveryTest : public ::testing::Test {
 protected:
  DiscoveryTest() {
    environment.loop = &loop;
    environment.metrics = &metrics;
    environment.http = &api;
    environment.user_agent = "Test/1";
  }
  ~DiscoveryTest() override { Stop(); }

  // `yaml`: lines at the level of a scrape config, e.g. "nomad_sd_configs:\n- server: x". Indented
  // by two more on the way. What was started before ends.
  void Start(std::string_view yaml) {
    Stop();
    std::string text = "scrape_configs:\n- job_name: job\n";
    for (const std::string_view line : Split(yaml, '\n')) text += "  " + std::string(line) + "\n";
    Result<Config> config = ParseConfig(text, {});
    ASSERT_TRUE(config.ok()) << config.status().message();
    const SdConfig entry = config->scrape_configs.at(0).service_discovery.at(0);
    Result<std::unique_ptr<Discoverer>> made = registry.Create(entry, "job", environment);
    ASSERT_TRUE(made.ok()) << made.status().message();
    discoverer = *std::move(made);
    discoverer->Start([this](std::vector<TargetGroupPtr> update) {
      ++updates;
      for (TargetGroupPtr& group : update) {
        if (group == nullptr) continue;
        if (group->targets.empty()) {
          groups.erase(group->source);
        } else {
          groups[group->source] = std::move(group);
        }
      }
    });
    loop.RunDue();
  }
  void Stop() {
    if (discoverer != nullptr) discoverer->Stop();
    discoverer.reset();
  }
  void AdvanceSeconds(double seconds) {
    loop.Advance(static_cast<int64_t>(seconds * static_cast<double>(kNanosPerSecond)));
  }
  std::string Seen() const { return Print(groups); }
  double RefreshFailures(const std::string& mechanism) const {
    return metrics.Get("prometheus_sd_refresh_failures_total",
                       {{"mechanism", mechanism}, {"config", "job"}});
  }

  ManualTaskLoop loop;
  SdMetrics metrics;
  FakeApi api;
  DiscoveryRegistry registry;
  DiscoveryEnvironment environment;
  std::unique_ptr<Discoverer> discoverer;
  std::map<std::string, TargetGroupPtr> groups;
  int updates = 0;
};

}  // namespace narthex::testing
