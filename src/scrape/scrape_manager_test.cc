#include "scrape/scrape_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <map>
#include <thread>

#include "scrape/fake_store_for_test.h"
#include "util/compress.h"

namespace narthex::scrape {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kSecond = kNanosPerSecond;

class ManualClock final : public Clock {
 public:
  int64_t NowNanos() const override { return now_; }
  std::atomic<int64_t> now_{1'000'000 * kSecond};
};

// Runs timers when the test moves time, and lets the pool finish after each.
class ManualTimers final : public TimerService {
 public:
  ManualTimers(ManualClock* clock, ThreadPool* pool) : clock_(clock), pool_(pool) {}

  TimerId RunAfter(int64_t delay, std::function<void()> function) override {
    const std::lock_guard lock(mutex_);
    timers_.emplace(std::pair(clock_->now_ + delay, next_id_), std::move(function));
    return next_id_++;
  }
  bool Cancel(TimerId id) override {
    const std::lock_guard lock(mutex_);
    return std::erase_if(timers_, [id](const auto& t) { return t.first.second == id; }) > 0;
  }
  void Advance(int64_t nanos) {
    const int64_t end = clock_->now_ + nanos;
    for (;;) {
      std::function<void()> function;
      {
        const std::lock_guard lock(mutex_);
        if (timers_.empty() || timers_.begin()->first.first > end) break;
        clock_->now_ = std::max<int64_t>(clock_->now_, timers_.begin()->first.first);
        function = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
      }
      function();
      WaitForPool();
    }
    clock_->now_ = end;
  }
  // The pool has one thread, so what was submitted before has run.
  void WaitForPool() {
    for (int rounds = 0; rounds < 3; ++rounds) {
      std::promise<void> done;
      pool_->Submit([&] { done.set_value(); });
      done.get_future().wait();
    }
  }

 private:
  ManualClock* clock_;
  ThreadPool* pool_;
  std::mutex mutex_;
  std::map<std::pair<int64_t, TimerId>, std::function<void()>> timers_;
  TimerId next_id_ = 1;
};

class FakeFetcher final : public Fetcher {
 public:
  struct Handle final : HttpClientHandle {};

  Result<std::shared_ptr<const HttpClientHandle>> CreateClient(
      const HttpClientConfig& config) override {
    if (!config.tls_config.ca_file.empty()) {
      return MakeError(ErrorCode::kIo, "unable to read CA cert");
    }
    return std::shared_ptr<const HttpClientHandle>(std::make_shared<Handle>());
  }
  RequestId Fetch(FetchRequest request, Callback done) override {
    requests.push_back(request);
    if (hold) {
      held.push_back(std::move(done));
      return held.size();
    }
    done(Answer(request.url));
    return 1000;
  }
  void Cancel(RequestId id) override {
    if (id > held.size() || !held[id - 1]) return;
    FetchResponse response;
    response.error = MakeError(ErrorCode::kCanceled, "context canceled");
    std::exchange(held[id - 1], nullptr)(std::move(response));
  }
  FetchResponse Answer(const std::string& url) {
    FetchResponse response;
    response.status = 200;
    response.status_text = "200 OK";
    response.content_type = "text/plain";
    response.body = "a 1\n";
    if (const auto it = pages.find(url); it != pages.end()) response = it->second;
    return response;
  }
  void Release() {
    for (Callback& done : held) {
      if (done) std::exchange(done, nullptr)(Answer(requests.back().url));
    }
  }

  std::map<std::string, FetchResponse> pages;
  std::vector<FetchRequest> requests;
  bool hold = false;
  std::vector<Callback> held;
};

TargetGroupPtr Group(const std::vector<std::string>& addresses) {
  auto group = std::make_shared<TargetGroup>();
  group->source = "static/0";
  for (const std::string& address : addresses) {
    group->targets.push_back({{"__address__", address}});
  }
  return group;
}

class ManagerTest : public ::testing::Test {
 protected:
  ManagerTest() {
    config_.job_name = "j";
    config_.scrape_interval = Seconds(10);
    config_.scrape_timeout = Seconds(5);
    config_.scrape_protocols = {"PrometheusText0.0.4"};
    config_.metric_name_escaping_scheme = "allow-utf-8";
    config_.metric_name_validation_scheme = NameValidation::kUtf8;
    options_.skip_offsets = true;
    Restart();
  }

  void Restart() {
    manager_ =
        std::make_unique<ScrapeManager>(ScrapeEnvironment{&store_, &fetcher_, &timers_, &pool_,
                                                          &clock_, &FileSystem::Posix(), nullptr},
                                        options_);
  }
  Status Apply() { return manager_->ApplyConfig({config_}, Labels()); }
  void Discover(const std::vector<std::string>& addresses) {
    manager_->UpdateTargets({{"j", {Group(addresses)}}});
    manager_->WaitForUpdatesForTest();
    timers_.WaitForPool();
  }
  // Stored lines without labels but the name, and without the report but for `up`.
  std::vector<std::string> Stored() {
    std::vector<std::string> lines;
    for (const std::string& line : store_.TakeLines()) {
      if (line.find("\"scrape_") != std::string::npos) continue;
      const size_t name = line.find('"') + 1;
      lines.push_back(line.substr(name, line.find('"', name) - name) +
                      line.substr(line.rfind(' ')));
    }
    return lines;
  }
  std::shared_ptr<ScrapeLoop> OnlyLoop() {
    const auto loops = manager_->pool("j")->loops();
    return loops.size() == 1 ? loops[0] : nullptr;
  }

  ManualClock clock_;
  ThreadPool pool_{"test", 1};
  ManualTimers timers_{&clock_, &pool_};
  FakeFetcher fetcher_;
  FakeStore store_;
  ScrapeConfig config_;
  ScrapeOptions options_;
  std::unique_ptr<ScrapeManager> manager_;  // Last: goes first.
};

TEST_F(ManagerTest, ScrapesAtIntervals) {
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  timers_.Advance(0);
  EXPECT_THAT(Stored(), ElementsAre("a 1", "up 1"));
  timers_.Advance(9 * kSecond);
  EXPECT_THAT(Stored(), IsEmpty());
  timers_.Advance(21 * kSecond);
  EXPECT_THAT(Stored(), ElementsAre("a 1", "up 1", "a 1", "up 1", "a 1", "up 1"));
  const FetchRequest& request = fetcher_.requests[0];
  EXPECT_EQ(request.url, "http://h:1/metrics");
  EXPECT_EQ(request.timeout_nanos, 5 * kSecond);
  EXPECT_THAT(*request.headers,
              ElementsAre(std::pair("Accept", "text/plain;version=0.0.4;q=0.7,*/*;q=0.6"),
                          std::pair("Accept-Encoding", "gzip"),
                          std::pair("User-Agent", "Prometheus/3.16.0"),
                          std::pair("X-Prometheus-Scrape-Timeout-Seconds", "5")));
  const Target::State state = OnlyLoop()->target()->state();
  EXPECT_EQ(state.health, TargetHealth::kUp);
  EXPECT_EQ(state.last_scrape_nanos, clock_.now_);
}

TEST_F(ManagerTest, FailuresShowInTheTarget) {
  struct Case {
    FetchResponse response;
    std::string_view want;
  };
  const auto answer = [](int status, std::string text, std::string type, std::string encoding,
                         std::string body) {
    return FetchResponse{
        {}, status, std::move(text), std::move(type), std::move(encoding), std::move(body)};
  };
  FetchResponse refused;
  refused.error = MakeError(ErrorCode::kUnavailable,
                            "Get \"http://h:1/metrics\": dial tcp: connect: connection refused");
  FetchResponse large;
  large.error = MakeError(ErrorCode::kLimitExceeded, "too much");
  const std::string page(100, '\n');
  config_.body_size_limit.bytes = 100;
  for (const Case& c : {
           Case{refused, "Get \"http://h:1/metrics\": dial tcp: connect: connection refused"},
           Case{large, "body size limit exceeded"},
           Case{answer(500, "500 Internal Server Error", "text/plain", "", "x"),
                "server returned HTTP status 500 Internal Server Error"},
           Case{answer(200, "200 OK", "", "", "a 1\n"),
                "non-compliant scrape target sending blank Content-Type and no "
                "fallback_scrape_protocol specified for target"},
           Case{answer(200, "200 OK", "text/plain", "", page), "body size limit exceeded"},
           Case{answer(200, "200 OK", "text/plain", "gzip", GzipCompress(page + page)),
                "body size limit exceeded"},
           Case{answer(200, "200 OK", "text/plain", "zstd", "a"),
                "received a zstd-compressed response, but the \"zstd-scrape\" feature flag is not "
                "enabled"},
           Case{answer(200, "200 OK", "text/plain", "gzip", GzipCompress("a 1\n")), ""},
       }) {
    SCOPED_TRACE(c.want);
    Restart();
    fetcher_.pages["http://h:1/metrics"] = c.response;
    ASSERT_TRUE(Apply().ok());
    Discover({"h:1"});
    timers_.Advance(0);
    const Target::State state = OnlyLoop()->target()->state();
    EXPECT_EQ(state.last_error, c.want);
    EXPECT_EQ(state.health, c.want.empty() ? TargetHealth::kUp : TargetHealth::kDown);
    clock_.now_ += 100 * kSecond;
  }
}

TEST_F(ManagerTest, SlowScrapesDropTicksButOne) {
  ASSERT_TRUE(Apply().ok());
  fetcher_.hold = true;
  Discover({"h:1"});
  timers_.Advance(35 * kSecond);
  EXPECT_EQ(fetcher_.requests.size(), 1u);
  fetcher_.Release();
  timers_.WaitForPool();
  EXPECT_EQ(fetcher_.requests.size(), 2u);  // The tick that waited.
  fetcher_.hold = false;
  fetcher_.Release();
  timers_.WaitForPool();
  EXPECT_EQ(fetcher_.requests.size(), 2u);
  timers_.Advance(5 * kSecond);
  EXPECT_EQ(fetcher_.requests.size(), 3u);  // Back on the schedule.
}

TEST_F(ManagerTest, GoneTargetsEndTwoIntervalsLater) {
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  timers_.Advance(4 * kSecond);
  Stored();
  Discover({});
  EXPECT_THAT(manager_->pool("j")->loops(), IsEmpty());
  timers_.Advance(16 * kSecond);
  EXPECT_THAT(Stored(), IsEmpty());
  timers_.Advance(2 * kSecond);
  EXPECT_THAT(Stored(), ElementsAre("a stale", "up stale"));
}

TEST_F(ManagerTest, ReturningTargetsAreNotEnded) {
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  timers_.Advance(4 * kSecond);
  Discover({});
  timers_.Advance(1 * kSecond);
  Discover({"h:1"});
  timers_.Advance(30 * kSecond);
  EXPECT_THAT(Stored(), Not(Contains(HasSubstr("stale"))));
}

TEST_F(ManagerTest, ReloadKeepsOrReplacesCaches) {
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  timers_.Advance(0);
  const size_t singles = store_.single_calls();
  config_.sample_limit = 100;
  config_.http_client.follow_redirects = false;
  ASSERT_TRUE(Apply().ok());
  manager_->WaitForUpdatesForTest();
  timers_.Advance(15 * kSecond);
  EXPECT_EQ(store_.single_calls(), singles);  // Known series stayed known.
  // Another label on all samples: the old series end, new ones begin.
  RelabelConfig rule;
  rule.target_label = "zone";
  rule.replacement = "x";
  config_.metric_relabel_configs = {rule};
  store_.TakeLines();
  ASSERT_TRUE(Apply().ok());
  manager_->WaitForUpdatesForTest();
  timers_.Advance(60 * kSecond);
  const std::vector<std::string> lines = store_.TakeLines();
  EXPECT_THAT(lines, Contains(HasSubstr("zone=\"x\"")));
  EXPECT_THAT(lines, Contains(::testing::AllOf(HasSubstr("\"a\", instance"), HasSubstr("stale"),
                                               Not(HasSubstr("zone")))));
  EXPECT_THAT(lines, Not(Contains(::testing::AllOf(HasSubstr("zone"), HasSubstr("stale")))));
}

TEST_F(ManagerTest, TargetLimitFailsAll) {
  config_.target_limit = 1;
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1", "h:2"});
  timers_.Advance(0);
  EXPECT_THAT(fetcher_.requests, IsEmpty());
  for (const auto& loop : manager_->pool("j")->loops()) {
    EXPECT_EQ(loop->target()->state().last_error,
              "target_limit exceeded (number of targets: 2, limit: 1)");
  }
  Discover({"h:1"});
  timers_.Advance(10 * kSecond);
  EXPECT_EQ(fetcher_.requests.size(), 1u);
  EXPECT_EQ(manager_->metrics().exceeded_target_limit_total.load(), 1u);
}

TEST_F(ManagerTest, DuplicatesAndDroppedTargets) {
  RelabelConfig drop;
  drop.source_labels = {"__address__"};
  drop.has_source_labels = true;
  drop.regex = *RelabelRegex::Compile("drop.*");
  drop.action = RelabelAction::kDrop;
  config_.relabel_configs = {drop};
  config_.keep_dropped_targets = 1;
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1", "h:1", "drop:1", "drop:2", "a/b"});
  const auto counts = manager_->pool("j")->counts();
  EXPECT_EQ(counts.targets, 1u);
  EXPECT_EQ(counts.dropped, 2u);
  EXPECT_EQ(counts.failed_targets, 1u);
  ASSERT_EQ(manager_->pool("j")->dropped().size(), 1u);
  EXPECT_EQ(manager_->pool("j")->dropped()[0].discovered_labels().Get("__address__"), "drop:1");
  EXPECT_EQ(OnlyLoop()->target()->origin().discovered_labels().Get("job"), "j");
}

TEST_F(ManagerTest, PoolsThatCannotBeMadeAreReported) {
  config_.http_client.tls_config.ca_file = "missing";
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  EXPECT_THAT(manager_->pool_names(), IsEmpty());
  EXPECT_EQ(manager_->metrics().pools_failed_total.load(), 1u);
}

TEST_F(ManagerTest, RemovedJobsStopWithoutMarkers) {
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  timers_.Advance(0);
  Stored();
  ASSERT_TRUE(manager_->ApplyConfig({}, Labels()).ok());
  timers_.Advance(60 * kSecond);
  EXPECT_THAT(Stored(), IsEmpty());
  EXPECT_THAT(manager_->pool_names(), IsEmpty());
}

TEST_F(ManagerTest, StoppingCancelsWhatIsUnderWay) {
  ASSERT_TRUE(Apply().ok());
  fetcher_.hold = true;
  Discover({"h:1"});
  timers_.Advance(0);
  ASSERT_EQ(fetcher_.held.size(), 1u);
  manager_->Stop();
  EXPECT_THAT(Stored(), IsEmpty());
  timers_.Advance(60 * kSecond);
  EXPECT_EQ(fetcher_.requests.size(), 1u);
}

TEST_F(ManagerTest, FailedScrapesAreLogged) {
  const TemporaryDirectory folder;
  config_.scrape_failure_log_file = JoinPath(folder.path(), "failures.json");
  fetcher_.pages["http://h:1/metrics"].error = MakeError(ErrorCode::kUnavailable, "no \"route\"");
  ASSERT_TRUE(Apply().ok());
  Discover({"h:1"});
  timers_.Advance(0);
  const Result<std::string> text = FileSystem::Posix().ReadAll(config_.scrape_failure_log_file);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text,
            "{\"time\":\"1970-01-12T13:46:40.000Z\",\"level\":\"ERROR\",\"msg\":\"no "
            "\\\"route\\\"\",\"job_name\":\"j\",\"target\":\"http://h:1/metrics\"}\n");
}

TEST_F(ManagerTest, ThousandsOfTargetsSpreadOverTheInterval) {
  options_.skip_offsets = false;
  options_.fqdn = "host";
  Restart();
  ASSERT_TRUE(Apply().ok());
  std::vector<std::string> addresses;
  for (int i = 0; i < 2000; ++i) addresses.push_back(fmt::format("h{}:1", i));
  Discover(addresses);
  timers_.Advance(5 * kSecond);
  const size_t half = fetcher_.requests.size();
  EXPECT_GT(half, 800u);
  EXPECT_LT(half, 1200u);
  timers_.Advance(5 * kSecond);
  EXPECT_EQ(fetcher_.requests.size(), 2000u);
}

// Runs functions in order on a thread of its own.
class Worker {
 public:
  Worker() : thread_([this] { Run(); }) {}
  ~Worker() {
    Push([this] { stopping_ = true; });
    thread_.join();
  }
  void Push(std::function<void()> function) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(function));
    wake_.notify_one();
  }

 private:
  void Run() {
    while (!stopping_) {
      std::function<void()> function;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return !queue_.empty(); });
        function = std::move(queue_.front());
        queue_.pop_front();
      }
      function();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;  // Of the thread itself.
  std::thread thread_;
};

// Timers run and answers come as fast as they can.
class EagerTimers final : public TimerService {
 public:
  explicit EagerTimers(Worker* worker) : worker_(worker) {}
  TimerId RunAfter(int64_t, std::function<void()> function) override {
    worker_->Push(std::move(function));
    return next_id_++;
  }
  bool Cancel(TimerId) override { return false; }

 private:
  Worker* worker_;
  std::atomic<TimerId> next_id_{1};
};

class EagerFetcher final : public Fetcher {
 public:
  explicit EagerFetcher(Worker* worker) : worker_(worker) {}
  Result<std::shared_ptr<const HttpClientHandle>> CreateClient(const HttpClientConfig&) override {
    return std::shared_ptr<const HttpClientHandle>();
  }
  RequestId Fetch(FetchRequest, Callback done) override {
    worker_->Push([done = std::move(done)] {
      FetchResponse response;
      response.status = 200;
      response.content_type = "text/plain";
      response.body = "a 1\nb 2\n";
      done(std::move(response));
    });
    return next_id_++;
  }
  void Cancel(RequestId) override {}

 private:
  Worker* worker_;
  std::atomic<RequestId> next_id_{1};
};

TEST(ScrapeManager, SurvivesChangesFromAllSides) {
  FakeStore store;
  ThreadPool pool("test", 3);
  Worker worker;
  EagerTimers timers(&worker);
  EagerFetcher fetcher(&worker);
  ScrapeOptions options;
  options.skip_offsets = true;
  options.align_timestamps = false;
  ScrapeManager manager(
      {&store, &fetcher, &timers, &pool, &Clock::System(), &FileSystem::Posix(), nullptr}, options);
  ScrapeConfig config;
  config.job_name = "j";
  config.scrape_interval = Seconds(10);
  config.scrape_timeout = Seconds(5);
  const std::vector<std::vector<std::string>> worlds = {
      {"a:1", "b:1", "c:1"}, {"b:1"}, {}, {"c:1"}};
  for (int round = 0; round < 60; ++round) {
    if (round % 3 == 0) {
      config.sample_limit = 100 + static_cast<uint64_t>(round);
      config.honor_labels = round % 2 == 0;
      ASSERT_TRUE(manager.ApplyConfig({config}, Labels()).ok());
    }
    manager.UpdateTargets({{"j", {Group(worlds[static_cast<size_t>(round) % worlds.size()])}}});
    manager.WaitForUpdatesForTest();
    for (const auto& [name, scrape_pool] : manager.pools()) {
      for (const auto& loop : scrape_pool->loops()) {
        (void)loop->target()->state();
        (void)loop->ListMetadata();
        (void)loop->interval_nanos();
      }
    }
  }
  // The last world has a target, so there is always more to come.
  while (store.TakeLines().empty()) std::this_thread::yield();
  manager.Stop();
  const size_t calls = store.single_calls() + store.batch_calls();
  std::this_thread::yield();
  EXPECT_EQ(store.single_calls() + store.batch_calls(), calls);
}

TEST(ScrapeOffset, IsTheTargetsPlaceInTheInterval) {
  struct Case {
    uint64_t hash;
    uint64_t seed;
    int64_t now;
    int64_t want;
  };
  for (const Case& c : {Case{3, 0, 0, 3}, Case{3, 0, 2, 1}, Case{3, 0, 3, 10}, Case{3, 0, 4, 9},
                        Case{13, 0, 21, 2}, Case{1, 2, 0, 3}}) {
    EXPECT_EQ(ScrapeOffset(c.hash, 10, c.seed, c.now), c.want);
  }
}

TEST(Target, UrlCarriesParameters) {
  auto config = std::make_shared<ScrapeConfig>();
  config->params = {{"b", {"1", "2 3"}}, {"a", {"x"}}};
  auto group = std::make_shared<TargetGroup>();
  group->targets.push_back({{"__address__", "h:1"}, {"__param_b", "9"}, {"__param_c", "&"}});
  const Target target(DiscoveredLabels(*config, group->targets[0], {}), {config, group, 0});
  EXPECT_EQ(target.url(), "http://h:1/metrics?a=x&b=9&b=2+3&c=%26");
}

}  // namespace
}  // namespace narthex::scrape
