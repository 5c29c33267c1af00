// Discovery from the outside: the manager, the mechanisms that are built in, and, where they are at
// hand, the recorded cases of the real server.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "config/config.h"
#include "config/sd_mechanisms.h"
#include "discovery/dns/dns_discoverer.h"
#include "discovery/http/fetch.h"
#include "discovery/http/http_discoverer.h"
#include "discovery/manager.h"
#include "discovery/mechanisms/mechanisms.h"
#include "util/strings.h"

namespace narthex {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kSecond = kNanosPerSecond;

// "job: source[address …]{label=value …}" for each group, sorted; what a consumer sees.
std::vector<std::string> Summary(const TargetSets& sets) {
  std::vector<std::string> lines;
  for (const auto& [set, groups] : sets) {
    if (groups.empty()) lines.push_back(set + ": -");
    for (const TargetGroupPtr& group : groups) {
      std::string line = set + ": " + group->source + "[";
      for (const TargetLabels& target : group->targets) {
        line += std::string(GetLabel(target, kAddressLabel)) + " ";
      }
      line += "]{";
      for (const auto& [name, value] : group->labels) line += name + "=" + value + " ";
      lines.push_back(line + "}");
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

// A mechanism under the test's control.
class FakeDiscoverer : public Discoverer {
 public:
  struct Log {
    int started = 0;
    int stopped = 0;
    std::map<std::string, TargetGroupSink> sinks;  // By URL.
  };
  FakeDiscoverer(std::string name, Log& log) : name_(std::move(name)), log_(log) {}
  void Start(TargetGroupSink sink) override {
    ++log_.started;
    log_.sinks[name_] = std::move(sink);
  }
  void Stop() override {
    ++log_.stopped;
    log_.sinks.erase(name_);
  }

 private:
  const std::string name_;
  Log& log_;
};

TargetGroupPtr Group(std::string source, const std::vector<std::string>& addresses) {
  auto group = std::make_shared<TargetGroup>();
  group->source = std::move(source);
  for (const std::string& address : addresses) group->targets.push_back(AddressOnly(address));
  return group;
}

SdConfig HttpEntry(std::string url) {
  HttpSdConfig config;
  config.url = std::move(url);
  return SdConfig::Make("http", std::move(config));
}
SdConfig StaticEntry(std::vector<std::string> targets) {
  return SdConfig::Make("static", StaticSdConfig{{StaticGroup{std::move(targets), {}}}});
}

// A manager on a loop that the test moves, with "http" faked and static real.
class ManagerTest : public testing::Test {
 protected:
  ManagerTest() {
    RegisterBuiltinMechanisms(registry_);
    registry_.Register("http",
                       [this](const SdConfig& config, const std::string&,
                              DiscoveryEnvironment&) -> Result<std::unique_ptr<Discoverer>> {
                         const std::string& url = config.As<HttpSdConfig>()->url;
                         if (url == "broken")
                           return MakeError(ErrorCode::kInvalidInput, "cannot be made");
                         return std::unique_ptr<Discoverer>(new FakeDiscoverer(url, log_));
                       });
    environment_.loop = &loop_;
    environment_.metrics = &metrics_;
    manager_ =
        std::make_unique<DiscoveryManager>(DiscoveryManagerOptions{.name = "scrape"}, registry_,
                                           environment_, [this](const TargetSets& sets) {
                                             ++updates_;
                                             last_ = Summary(sets);
                                           });
  }

  double Metric(std::string_view name, SdMetrics::LabelPairs labels = {}) {
    labels.insert(labels.begin(), {"name", "scrape"});
    return metrics_.Get(name, labels);
  }

  ManualTaskLoop loop_;
  SdMetrics metrics_;
  DiscoveryRegistry registry_;
  DiscoveryEnvironment environment_;
  FakeDiscoverer::Log log_;
  int updates_ = 0;
  std::vector<std::string> last_;
  std::unique_ptr<DiscoveryManager> manager_;
};

TEST_F(ManagerTest, MergesProvidersOfASetAndSharesEqualOnes) {
  manager_->ApplyConfig(
      {{"a", {HttpEntry("x"), StaticEntry({"s:1"})}}, {"b", {HttpEntry("x")}}, {"c", {}}});
  loop_.Advance(kSecond);
  EXPECT_EQ(log_.started, 1) << "two jobs with the same entry have one provider";
  EXPECT_THAT(last_, ElementsAre("a: 0[s:1 ]{}", "b: -", "c: -"));

  log_.sinks["x"]({Group("one", {"h:1"}), Group("two", {"h:2", "h:3"})});
  loop_.Advance(kSecond);
  EXPECT_THAT(last_, ElementsAre("a: 0[s:1 ]{}", "a: one[h:1 ]{}", "a: two[h:2 h:3 ]{}",
                                 "b: one[h:1 ]{}", "b: two[h:2 h:3 ]{}", "c: -"));
  EXPECT_EQ(Metric("prometheus_sd_discovered_targets", {{"config", "a"}}), 4);

  log_.sinks["x"]({Group("one", {})});  // An empty group removes, others stay.
  loop_.Advance(kSecond);
  EXPECT_THAT(last_,
              ElementsAre("a: 0[s:1 ]{}", "a: two[h:2 h:3 ]{}", "b: two[h:2 h:3 ]{}", "c: -"));
}

TEST_F(ManagerTest, KeepsWhatDoesNotChangeAcrossReloads) {
  manager_->ApplyConfig({{"a", {HttpEntry("x")}}});
  loop_.Advance(kSecond);
  log_.sinks["x"]({Group("one", {"h:1"})});
  loop_.Advance(kSecond);
  manager_->ApplyConfig({{"b", {HttpEntry("x"), HttpEntry("y")}}});
  loop_.Advance(kSecond);
  EXPECT_EQ(log_.started, 2);
  EXPECT_EQ(log_.stopped, 0);
  EXPECT_THAT(last_, ElementsAre("b: one[h:1 ]{}")) << "a new job gets the known targets at once";
  manager_->ApplyConfig({{"b", {HttpEntry("y")}}});
  loop_.Advance(kSecond);
  EXPECT_EQ(log_.stopped, 1);
  EXPECT_THAT(last_, ElementsAre("b: -"));
  EXPECT_EQ(Metric("prometheus_sd_discovered_targets", {{"config", "a"}}), 0);
}

TEST_F(ManagerTest, CountsEntriesThatCannotBeMadeAndGoesOn) {
  manager_->ApplyConfig({{"a", {HttpEntry("broken"), StaticEntry({"s:1"})}},
                         {"b", {SdConfig::Make("consul", ConsulSdConfig{})}}});
  loop_.Advance(kSecond);
  EXPECT_EQ(Metric("prometheus_sd_failed_configs"), 2);
  EXPECT_THAT(last_, ElementsAre("a: 0[s:1 ]{}", "b: -"));
}

TEST_F(ManagerTest, GathersFrequentUpdates) {
  manager_->ApplyConfig({{"a", {HttpEntry("x")}}});
  loop_.Advance(kSecond);
  const int before = updates_;
  // Ten changes a second for a minute: the pace slows down to one update in five seconds.
  for (int i = 0; i < 600; ++i) {
    log_.sinks["x"]({Group("one", {fmt::format("h:{}", i)})});
    loop_.Advance(kSecond / 10);
  }
  EXPECT_LE(updates_ - before, 25);
  EXPECT_GE(updates_ - before, 12);
  EXPECT_EQ(Metric("prometheus_sd_received_updates_total"), 600);
  loop_.Advance(12 * kSecond);
  EXPECT_THAT(last_, ElementsAre("a: one[h:599 ]{}")) << "the last change is never lost";
  const int quiet = updates_;
  log_.sinks["x"]({Group("one", {"h:1"})});
  loop_.Advance(kSecond / 5);
  EXPECT_EQ(updates_, quiet + 1) << "after a quiet time an update is quick again";
}

TEST_F(ManagerTest, NothingHappensAfterStop) {
  manager_->ApplyConfig({{"a", {HttpEntry("x")}}});
  loop_.Advance(kSecond);
  log_.sinks["x"]({Group("one", {"h:1"})});
  const int before = updates_;
  manager_->Stop();
  EXPECT_EQ(log_.stopped, 1);
  loop_.Advance(60 * kSecond);
  EXPECT_EQ(updates_, before);
  manager_.reset();
}

TEST(ThreadTaskLoop, RunsTasksInOrderAndWaits) {
  ThreadTaskLoop loop("test");
  std::string order;
  std::promise<void> last;
  loop.RunAndWait([&] {
    loop.PostAfter(2'000'000, [&] {
      order += 'c';
      last.set_value();
    });
    loop.PostAfter(1'000'000, [&] { order += 'b'; });
    const auto canceled = loop.PostAfter(500'000, [&] { order += 'x'; });
    loop.Cancel(canceled);
    loop.Post([&] { order += 'a'; });
    loop.RunAndWait([&] { order += '0'; });
  });
  last.get_future().wait();
  loop.RunAndWait([&] { order += 'd'; });
  EXPECT_EQ(order, "0abcd");
}

// ---- file ---------------------------------------------------------------------------------------

class FileTest : public testing::Test {
 protected:
  FileTest() {
    RegisterBuiltinMechanisms(registry_);
    environment_.loop = &loop_;
    environment_.metrics = &metrics_;
  }
  ~FileTest() override {
    if (discoverer_ != nullptr) discoverer_->Stop();
  }

  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(FileSystem::Posix().WriteAtomically(JoinPath(folder_.path(), name), text).ok());
  }
  void Start(const std::vector<std::string>& patterns) {
    FileSdConfig config;
    for (const std::string& pattern : patterns) {
      config.files.push_back(JoinPath(folder_.path(), pattern));
    }
    auto made = registry_.Create(SdConfig::Make("file", config), "job", environment_);
    ASSERT_TRUE(made.ok());
    discoverer_ = *std::move(made);
    discoverer_->Start([this](const std::vector<TargetGroupPtr>& groups) {
      for (const TargetGroupPtr& group : groups) {
        if (group->targets.empty()) {
          groups_.erase(group->source);
        } else {
          groups_[group->source] = group;
        }
      }
    });
  }
  // Sources, without the folder, and the addresses behind them.
  std::vector<std::string> Seen() {
    std::vector<std::string> lines;
    for (const auto& [source, group] : groups_) {
      std::string line = source.substr(folder_.path().size() + 1);
      for (const TargetLabels& target : group->targets) {
        line += " " + std::string(GetLabel(target, kAddressLabel));
      }
      lines.push_back(line);
    }
    return lines;
  }

  TemporaryDirectory folder_;
  ManualTaskLoop loop_;
  SdMetrics metrics_;
  DiscoveryRegistry registry_;
  DiscoveryEnvironment environment_;
  std::map<std::string, TargetGroupPtr> groups_;
  std::unique_ptr<Discoverer> discoverer_;
};

TEST_F(FileTest, ReadsJsonAndYamlAndKeepsWhatItCannotReadAnew) {
  Write("a.json", R"([{"targets": ["a:1", "a:2"], "labels": {"x": "y"}}, {"targets": ["a:3"]}])");
  Write("b.yml", "- targets: [b:1]\n");
  Start({"*.json", "b.yml", "*.yml"});
  EXPECT_THAT(Seen(), ElementsAre("a.json:0 a:1 a:2", "a.json:1 a:3", "b.yml:0 b:1"));
  const std::string path = JoinPath(folder_.path(), "a.json");
  const TextMap labels = groups_.begin()->second->labels;
  EXPECT_EQ(labels, (TextMap{{"__meta_filepath", path}, {"x", "y"}}));
  EXPECT_GT(metrics_.Get("prometheus_sd_file_mtime_seconds", {{"filename", path}}), 0);

  Write("a.json", "[{");
  Write("b.yml", "- targets: [b:2]\n");
  loop_.Advance(301 * kSecond);
  EXPECT_THAT(Seen(), ElementsAre("a.json:0 a:1 a:2", "a.json:1 a:3", "b.yml:0 b:2"));
  EXPECT_GE(metrics_.Get("prometheus_sd_file_read_errors_total", {}), 1);

  Write("a.json", R"([{"targets": ["a:9"]}])");
  ASSERT_TRUE(FileSystem::Posix().RemoveFile(JoinPath(folder_.path(), "b.yml")).ok());
  loop_.Advance(301 * kSecond);
  EXPECT_THAT(Seen(), ElementsAre("a.json:0 a:9"));
}

TEST_F(FileTest, SeesChangesWithoutWaitingForTheInterval) {
  Start({"*.json"});
  EXPECT_THAT(Seen(), ElementsAre());
  Write("new.json", R"([{"targets": ["n:1"]}])");
  // The kernel tells the watcher's thread in its own time; the loop's clock barely moves.
  for (int i = 0; i < 2000 && groups_.empty(); ++i) {
    usleep(1000);
    loop_.Advance(30 * kNanosPerMilli / 10);
  }
  EXPECT_THAT(Seen(), ElementsAre("new.json:0 n:1"));
  EXPECT_LT(loop_.NowNanos(), 60 * kSecond);
}

// ---- http ---------------------------------------------------------------------------------------

class ScriptedFetcher : public HttpFetcher {
 public:
  RequestId Fetch(FetchRequest request, std::function<void(Result<FetchResponse>)> done) override {
    requests.push_back(std::move(request));
    if (hold) {
      held = std::move(done);
    } else {
      done(answer);
    }
    return requests.size();
  }
  void Cancel(RequestId) override {}
  std::vector<FetchRequest> requests;
  Result<FetchResponse> answer = FetchResponse{};
  bool hold = false;
  std::function<void(Result<FetchResponse>)> held;
};

FetchResponse JsonAnswer(std::string body) {
  return {200, "200 OK", {{"content-type", "application/json; charset=utf-8"}}, std::move(body)};
}

class HttpTest : public testing::Test {
 protected:
  HttpTest() {
    RegisterBuiltinMechanisms(registry_);
    environment_.loop = &loop_;
    environment_.metrics = &metrics_;
    environment_.http = &fetcher_;
    environment_.user_agent = "Test/1";
    discoverer_ = *registry_.Create(HttpEntry("http://sd/list"), "job", environment_);
    discoverer_->Start([this](const std::vector<TargetGroupPtr>& groups) {
      for (const TargetGroupPtr& group : groups) {
        if (group->targets.empty()) {
          sets_.erase(group->source);
        } else {
          sets_[group->source] = group;
        }
      }
    });
    loop_.RunDue();
  }
  void Answer(Result<FetchResponse> answer) {
    fetcher_.answer = std::move(answer);
    loop_.Advance(60 * kSecond);
  }

  ManualTaskLoop loop_;
  SdMetrics metrics_;
  ScriptedFetcher fetcher_;
  DiscoveryRegistry registry_;
  DiscoveryEnvironment environment_;
  std::map<std::string, TargetGroupPtr> sets_;
  std::unique_ptr<Discoverer> discoverer_;
};

TEST_F(HttpTest, AsksEveryIntervalAndKeepsTheLastGoodAnswer) {
  ASSERT_EQ(fetcher_.requests.size(), 1U);
  const FetchRequest& request = fetcher_.requests.front();
  EXPECT_EQ(request.url, "http://sd/list");
  EXPECT_EQ(request.timeout_nanos, 60 * kSecond);
  EXPECT_THAT(request.headers,
              ElementsAre(testing::Pair("User-Agent", "Test/1"),
                          testing::Pair("Accept", "application/json"),
                          testing::Pair("X-Prometheus-Refresh-Interval-Seconds", "60")));

  Answer(JsonAnswer(R"([{"targets": ["a:1"]}, {"targets": ["b:1"], "labels": {"k": "v"}}])"));
  ASSERT_EQ(sets_.size(), 2U);
  EXPECT_EQ(sets_["http://sd/list:1"]->labels,
            (TextMap{{"__meta_url", "http://sd/list"}, {"k", "v"}}));
  Answer(JsonAnswer(R"([{"targets": ["a:2"]}])"));
  ASSERT_EQ(sets_.size(), 1U) << "groups that vanish from the list are emptied";

  const double failures = metrics_.Get("prometheus_sd_http_failures_total", {});
  FetchResponse not_found{404, "404 Not Found", {}, ""};
  FetchResponse html{200, "200 OK", {{"Content-Type", "text/html"}}, "[]"};
  for (const Result<FetchResponse>& bad :
       std::vector<Result<FetchResponse>>{not_found, html, JsonAnswer("[null]"), JsonAnswer("[{"),
                                          Status(ErrorCode::kTimeout, "too slow")}) {
    Answer(bad);
    EXPECT_EQ(sets_.size(), 1U);
  }
  EXPECT_EQ(metrics_.Get("prometheus_sd_http_failures_total", {}), failures + 5);
  discoverer_->Stop();
}

TEST_F(HttpTest, AnAnswerAfterStopIsDropped) {
  fetcher_.hold = true;
  loop_.Advance(60 * kSecond);
  loop_.Advance(120 * kSecond);
  EXPECT_EQ(fetcher_.requests.size(), 2U) << "one request at a time";
  discoverer_->Stop();
  discoverer_.reset();
  fetcher_.held(JsonAnswer(R"([{"targets": ["a:1"]}])"));
  loop_.Advance(kSecond);
  EXPECT_TRUE(sets_.empty());
}

// ---- dns ----------------------------------------------------------------------------------------

// Answers questions from a table, over UDP; over TCP for those that it cut short.
class FakeDnsServer {
 public:
  using Handler =
      std::function<std::string(std::string name, uint16_t type, bool tcp, int* record_count)>;

  // The handler gives the answer section, or "!<rcode>" or "!cut".
  explicit FakeDnsServer(Handler handler) : handler_(std::move(handler)) {
    udp_ = socket(AF_INET, SOCK_DGRAM, 0);
    tcp_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(tcp_, reinterpret_cast<sockaddr*>(&address), size), 0);
    getsockname(tcp_, reinterpret_cast<sockaddr*>(&address), &size);
    EXPECT_EQ(bind(udp_, reinterpret_cast<sockaddr*>(&address), size), 0);
    listen(tcp_, 4);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeDnsServer() {
    stopping_ = true;
    thread_.join();
    close(udp_);
    close(tcp_);
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  void Run() {
    while (!stopping_) {
      pollfd polled[] = {{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
      if (poll(polled, 2, 20) <= 0) continue;
      char buffer[2048];
      if (polled[0].revents != 0) {
        sockaddr_in from{};
        socklen_t size = sizeof(from);
        const ssize_t got =
            recvfrom(udp_, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &size);
        const std::string reply = Reply({buffer, static_cast<size_t>(got)}, false);
        sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
      }
      if (polled[1].revents != 0) {
        const int connection = accept(tcp_, nullptr, nullptr);
        const ssize_t got = recv(connection, buffer, sizeof(buffer), 0);
        std::string reply = Reply({buffer + 2, static_cast<size_t>(got) - 2}, true);
        const char length[] = {static_cast<char>(reply.size() >> 8),
                               static_cast<char>(reply.size())};
        reply.insert(0, length, 2);
        send(connection, reply.data(), reply.size(), 0);
        close(connection);
      }
    }
  }

  std::string Reply(std::string_view query, bool tcp) {
    std::string name;
    size_t at = 12;
    while (query[at] != 0) {
      name += std::string(query.substr(at + 1, static_cast<size_t>(query[at]))) + ".";
      at += static_cast<size_t>(query[at]) + 1;
    }
    const auto type = static_cast<uint16_t>(static_cast<uint8_t>(query[at + 2]));
    const std::string question(query.substr(12, at + 5 - 12));
    int record_count = 0;
    std::string answers = handler_(name, type, tcp, &record_count);
    std::string header(query.substr(0, 2));
    char flags = static_cast<char>(0x84);
    char code = 0;
    if (answers == "!cut") {
      flags = static_cast<char>(0x86);
      answers.clear();
    } else if (answers.starts_with('!')) {
      code = static_cast<char>(answers[1] - '0');
      answers.clear();
    }
    header +=
        {flags, code, 0, 1, 0, static_cast<char>(answers.empty() ? 0 : record_count), 0, 0, 0, 0};
    return header + question + answers;
  }

  Handler handler_;
  int udp_ = -1;
  int tcp_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

std::string EncodeName(std::string_view name) {
  std::string out;
  for (const std::string_view label : Split(name, '.')) {
    if (label.empty()) continue;
    out += static_cast<char>(label.size());
    out += label;
  }
  return out + '\0';
}

// A record of the name that was asked for (a pointer into the question).
std::string Record(uint16_t type, const std::string& data) {
  std::string out("\xc0\x0c\0", 3);
  out += static_cast<char>(type);
  out += std::string("\0\x01\0\0\0\x3c", 6);
  out += static_cast<char>(data.size() >> 8);
  out += static_cast<char>(data.size());
  return out + data;
}

Result<std::vector<DnsRecord>> ResolveNow(DnsResolver& resolver, const std::string& name,
                                          DnsRecordType type) {
  std::promise<Result<std::vector<DnsRecord>>> promise;
  resolver.Resolve(name, type, [&](Result<std::vector<DnsRecord>> records) {
    promise.set_value(std::move(records));
  });
  return promise.get_future().get();
}

std::string Print(const Result<std::vector<DnsRecord>>& records) {
  if (!records.ok()) return "error: " + records.status().message();
  std::string out;
  for (const DnsRecord& record : *records) {
    out += fmt::format("{}:{} ", record.target, record.port);
  }
  return out;
}

TEST(DnsResolver, AsksServersAndFollowsTheSearchList) {
  FakeDnsServer server(
      [](const std::string& name, uint16_t type, bool tcp, int* count) -> std::string {
        if (name == "srv.example.") {
          *count = 2;
          return Record(33, std::string("\0\1\0\1\x0c\xea", 6) + EncodeName("db1.example.")) +
                 Record(33, std::string("\0\1\0\1\x0c\xeb", 6) + EncodeName("db2.example."));
        }
        if (name == "host.search.test.") {
          *count = 2;  // An alias on the way is left out.
          return Record(5, EncodeName("real.test.")) + Record(1, std::string("\xc0\0\x02\x02", 4));
        }
        if (name == "six.example.") {
          *count = 1;
          return Record(28, std::string(15, '\0') + '\x01');
        }
        if (name == "mx.example." && type == 15) {
          *count = 1;
          return Record(15, std::string("\0\x0a", 2) + EncodeName("mail.example."));
        }
        if (name == "big.example.") {
          *count = 1;
          return tcp ? Record(2, EncodeName("ns.example.")) : "!cut";
        }
        if (name == "none.example.") return "";
        if (name == "broken.example.") return "!2";
        return "!3";
      });
  DnsResolverOptions options;
  options.servers = {server.address()};
  options.search_domains = {"search.test"};
  options.timeout_millis = 500;
  options.tries = 1;
  auto resolver = *MakeDnsResolver(options);
  struct Case {
    std::string name;
    DnsRecordType type;
    std::string want;
  };
  for (const Case& c :
       {Case{"srv.example.", DnsRecordType::kSrv, "db1.example.:3306 db2.example.:3307 "},
        Case{"host", DnsRecordType::kA, "192.0.2.2:0 "},
        Case{"six.example", DnsRecordType::kAaaa, "::1:0 "},
        Case{"mx.example", DnsRecordType::kMx, "mail.example.:0 "},
        Case{"big.example", DnsRecordType::kNs, "ns.example.:0 "},
        Case{"none.example", DnsRecordType::kA, ""}, Case{"nobody.example", DnsRecordType::kA, ""},
        Case{"broken.example", DnsRecordType::kA,
             "error: could not resolve \"broken.example\": all servers responded with errors to at "
             "least one search domain"}}) {
    EXPECT_EQ(Print(ResolveNow(*resolver, c.name, c.type)), c.want) << c.name;
  }
}

TEST(DnsResolver, StopsWithQuestionsUnderWay) {
  // Nobody answers there.
  const int silent = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
  DnsResolverOptions options;
  options.servers = {fmt::format("127.0.0.1:{}", ntohs(address.sin_port))};
  auto resolver = *MakeDnsResolver(options);
  std::atomic<int> canceled = 0;
  for (int i = 0; i < 3; ++i) {
    resolver->Resolve("x.example.", DnsRecordType::kA, [&](Result<std::vector<DnsRecord>> records) {
      if (records.status().code() == ErrorCode::kCanceled) ++canceled;
    });
  }
  resolver.reset();
  EXPECT_EQ(canceled, 3);
  close(silent);
}

TEST(DnsDiscoverer, KeepsTheTargetsOfNamesThatFail) {
  class ScriptedResolver : public DnsResolver {
   public:
    void Resolve(std::string name, DnsRecordType,
                 std::function<void(Result<std::vector<DnsRecord>>)> done) override {
      if (name == failing) return done(Status(ErrorCode::kUnavailable, "no"));
      done(std::vector<DnsRecord>{{DnsRecordType::kA, address, 0}});
    }
    std::string failing;
    std::string address = "192.0.2.1";
  };
  ManualTaskLoop loop;
  SdMetrics metrics;
  ScriptedResolver resolver;
  DiscoveryRegistry registry;
  RegisterBuiltinMechanisms(registry);
  DiscoveryEnvironment environment;
  environment.loop = &loop;
  environment.metrics = &metrics;
  environment.dns = &resolver;
  DnsSdConfig config;
  config.names = {"a.", "b."};
  config.type = "a";
  config.port = 9100;
  auto discoverer = *registry.Create(SdConfig::Make("dns", config), "job", environment);
  std::map<std::string, std::string> seen;
  discoverer->Start([&](const std::vector<TargetGroupPtr>& groups) {
    for (const TargetGroupPtr& group : groups) {
      seen[group->source] = GetLabel(group->targets.front(), kAddressLabel);
    }
  });
  loop.RunDue();
  EXPECT_EQ(seen, (std::map<std::string, std::string>{{"a.", "192.0.2.1:9100"},
                                                      {"b.", "192.0.2.1:9100"}}));
  resolver.failing = "a.";
  resolver.address = "2001:db8::1";
  loop.Advance(30 * kSecond);
  EXPECT_EQ(seen, (std::map<std::string, std::string>{{"a.", "192.0.2.1:9100"},
                                                      {"b.", "[2001:db8::1]:9100"}}));
  EXPECT_EQ(metrics.Get("prometheus_sd_dns_lookups_total", {}), 4);
  EXPECT_EQ(metrics.Get("prometheus_sd_dns_lookup_failures_total", {}), 1);
  discoverer->Stop();
}

// ---- recorded cases -----------------------------------------------------------------------------

std::string ConformanceDirectory() {
  const char* set = std::getenv("NARTHEX_CONFORMANCE_DIR");
  return set != nullptr ? set : std::string(NARTHEX_SOURCE_DIR) + "/../shared/conformance";
}

// Groups as the recorded cases write them.
json::value ToJson(const TargetGroup& group) {
  json::object labels;
  for (const auto& [name, value] : group.labels) labels[name] = value;
  json::array targets;
  for (const TargetLabels& target : group.targets) {
    json::object object;
    for (const auto& [name, value] : target) object[name] = value;
    targets.push_back(std::move(object));
  }
  return json::object{{"Labels", labels}, {"Source", group.source}, {"Targets", targets}};
}

json::value WithTargets(json::value group) {
  if (!group.as_object().contains("Targets")) group.as_object()["Targets"] = json::array{};
  return group;
}

TEST(Conformance, TargetGroups) {
  const std::string path = ConformanceDirectory() + "/discovery/targetgroups.jsonl";
  const auto text = FileSystem::Posix().ReadAll(path);
  if (!text.ok()) GTEST_SKIP() << "no cases in " << path;
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  for (const std::string_view line : Split(*text, '\n')) {
    if (line.empty()) continue;
    const json::value document = json::parse(line);
    const json::object& test = document.as_object();
    const std::string kind(test.at("kind").as_string());
    std::string problem;
    const auto check_groups = [&](const Result<std::vector<TargetGroup>>& groups) {
      const bool refused = test.contains("expectedReply");
      if (refused) {
        const std::string want(test.at("expectedReply").as_string());
        const std::string got = groups.ok() ? "" : groups.status().message();
        if (got != want) problem = "says " + got;
      } else if (!groups.ok()) {
        problem = groups.status().message();
      } else if (ToJson(groups->front()) != WithTargets(test.at("expectedGroup"))) {
        problem = "gives " + json::serialize(ToJson(groups->front()));
      }
    };
    if (kind == "StrictJSONUnmarshal") {
      check_groups(ParseTargetGroupsJson("[" + std::string(test.at("json").as_string()) + "]"));
    } else if (kind == "YamlUnmarshal") {
      // One element of a list, at the same lines.
      std::string yaml = "- ";
      for (const char c : std::string(test.at("yaml").as_string())) {
        yaml += c;
        if (c == '\n') yaml += "  ";
      }
      check_groups(ParseTargetGroupsYaml(yaml));
    } else if (kind == "http_content_type") {
      const std::string header(test.at("header").as_string());
      if (IsJsonContentType(header) != test.at("match").as_bool()) problem = header;
    } else {
      ++skipped;  // Marshalling, and DNS cases, whose answers are not recorded.
      continue;
    }
    if (problem.empty()) {
      ++passed;
    } else {
      ++failed;
      ADD_FAILURE() << line << "\n" << problem;
    }
  }
  fmt::print("[ COUNTS   ] discovery/targetgroups.jsonl: {} passed, {} failed, {} skipped\n",
             passed, failed, skipped);
}

TEST(Conformance, TargetGroupFiles) {
  const std::string folder = ConformanceDirectory() + "/discovery/file";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  int passed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    const auto text = FileSystem::Posix().ReadAll(entry.path());
    ASSERT_TRUE(text.ok());
    const auto groups = entry.path().extension() == ".json" ? ParseTargetGroupsJson(*text)
                                                            : ParseTargetGroupsYaml(*text);
    EXPECT_EQ(groups.ok(), name.starts_with("valid")) << name;
    if (!groups.ok()) {
      EXPECT_EQ(groups.status().message(), "nil target group item found") << name;
    }
    ++passed;
  }
  fmt::print("[ COUNTS   ] discovery/file: {} checked\n", passed);
}

}  // namespace
}  // namespace narthex
