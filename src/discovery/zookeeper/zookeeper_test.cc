#include "discovery/zookeeper/zookeeper_discoverer.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "config/sd_mechanisms.h"
#include "discovery/zookeeper/tree_watcher.h"
#include "testing/fake_api.h"
#include "util/bytes.h"

namespace narthex {
namespace {

using ::testing::HasSubstr;

// A small ZooKeeper: nodes with one-shot watches, one client at a time.
class FakeZookeeper {
 public:
  FakeZookeeper() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 4), 0);
    socklen_t size = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    server_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeZookeeper() {
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    Drop();
    thread_.join();
    close(listener_);
  }
  const std::string& server() const { return server_; }

  void Set(const std::string& path, std::string data) {
    const std::lock_guard lock(mutex_);
    const bool is_new = !nodes_.contains(path);
    nodes_[path] = std::move(data);
    if (is_new) {
      Fire(Parent(path), 4, &child_watches_);
    } else {
      Fire(path, 3, &data_watches_);
    }
  }
  void Delete(const std::string& path) {
    const std::lock_guard lock(mutex_);
    nodes_.erase(path);
    Fire(path, 2, &data_watches_);
    Fire(path, 2, &child_watches_);
    Fire(Parent(path), 4, &child_watches_);
  }
  // Deletes a node and makes it again while nobody watches the children of its parent.
  void Recreate(const std::string& path, std::string data) {
    const std::lock_guard lock(mutex_);
    nodes_[path] = std::move(data);
    child_watches_.erase(path);
    Fire(path, 2, &data_watches_);
  }
  // Cuts the connection of the client.
  void Drop() {
    const std::lock_guard lock(mutex_);
    if (client_ >= 0) shutdown(client_, SHUT_RDWR);
  }
  // Sends bytes as they are.
  void SendRaw(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    ASSERT_EQ(::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  int connections() const { return connections_; }
  int pings() const { return pings_; }

 private:
  static std::string Parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
  }

  void Run() {
    while (!stopping_) {
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      {
        const std::lock_guard lock(mutex_);
        client_ = client;
        data_watches_.clear();
        child_watches_.clear();
      }
      ++connections_;
      Serve(client);
      const std::lock_guard lock(mutex_);
      client_ = -1;
      close(client);
    }
  }

  static bool ReadRecord(int client, std::string* record) {
    const auto read_exactly = [&](char* to, size_t size) {
      while (size > 0) {
        const ssize_t count = recv(client, to, size, 0);
        if (count <= 0) return false;
        to += count;
        size -= static_cast<size_t>(count);
      }
      return true;
    };
    char length[4];
    if (!read_exactly(length, sizeof length)) return false;
    record->resize(LoadBigEndian32(length));
    return read_exactly(record->data(), record->size());
  }

  static void SendRecord(int client, std::string_view record) {
    std::string framed;
    ByteWriter out(&framed);
    out.PutBigEndian32(static_cast<uint32_t>(record.size()));
    out.PutBytes(record);
    [[maybe_unused]] const ssize_t sent =
        ::send(client, framed.data(), framed.size(), MSG_NOSIGNAL);
  }

  void Serve(int client) {
    std::string record;
    if (!ReadRecord(client, &record)) return;
    std::string greeting;
    ByteWriter greet(&greeting);
    greet.PutBigEndian32(0);
    greet.PutBigEndian32(300);  // ms
    greet.PutBigEndian64(42);
    greet.PutBigEndian32(16);
    greet.PutBytes(std::string(16, 'p'));
    SendRecord(client, greeting);
    while (ReadRecord(client, &record)) {
      ByteReader in(record);
      const uint32_t xid = in.BigEndian32();
      const auto type = static_cast<int32_t>(in.BigEndian32());
      const std::lock_guard lock(mutex_);
      std::string answer;
      ByteWriter out(&answer);
      out.PutBigEndian32(xid);
      out.PutBigEndian64(1);
      if (type == 11) {
        ++pings_;
        out.PutBigEndian32(0);
        SendRecord(client, answer);
        continue;
      }
      if (type == -11) return;
      const std::string path(in.Bytes(in.BigEndian32()));
      const auto node = nodes_.find(path);
      if (node == nodes_.end()) {
        out.PutBigEndian32(static_cast<uint32_t>(-101));
      } else if (type == 4) {
        out.PutBigEndian32(0);
        out.PutBigEndian32(static_cast<uint32_t>(node->second.size()));
        out.PutBytes(node->second);
        out.PutBytes(std::string(68, '\0'));
        data_watches_.insert(path);
      } else {
        out.PutBigEndian32(0);
        std::vector<std::string> names;
        const std::string prefix = path == "/" ? path : path + "/";
        for (const auto& [other, data] : nodes_) {
          if (other.starts_with(prefix) && other.size() > prefix.size() &&
              other.find('/', prefix.size()) == std::string::npos) {
            names.push_back(other.substr(prefix.size()));
          }
        }
        out.PutBigEndian32(static_cast<uint32_t>(names.size()));
        for (const std::string& name : names) {
          out.PutBigEndian32(static_cast<uint32_t>(name.size()));
          out.PutBytes(name);
        }
        out.PutBytes(std::string(68, '\0'));
        child_watches_.insert(path);
      }
      SendRecord(client, answer);
    }
  }

  void Fire(const std::string& path, uint32_t kind, std::set<std::string>* watches) {
    if (watches->erase(path) == 0 || client_ < 0) return;
    std::string event;
    ByteWriter out(&event);
    out.PutBigEndian32(static_cast<uint32_t>(-1));
    out.PutBigEndian64(static_cast<uint64_t>(-1));
    out.PutBigEndian32(0);
    out.PutBigEndian32(kind);
    out.PutBigEndian32(3);
    out.PutBigEndian32(static_cast<uint32_t>(path.size()));
    out.PutBytes(path);
    SendRecord(client_, event);
  }

  std::mutex mutex_;
  std::map<std::string, std::string> nodes_;
  std::set<std::string> data_watches_;
  std::set<std::string> child_watches_;
  int client_ = -1;
  int listener_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::atomic<int> pings_{0};
  std::string server_;
  std::thread thread_;
};

// Keeps what a watcher tells.
class Mirror {
 public:
  ZookeeperTreeWatcher::Callbacks callbacks() {
    ZookeeperTreeWatcher::Callbacks callbacks;
    callbacks.changed = [this](const std::vector<ZookeeperTreeWatcher::Change>& changes) {
      const std::lock_guard lock(mutex_);
      for (const ZookeeperTreeWatcher::Change& change : changes) {
        if (change.data) {
          nodes_[change.path] = *change.data;
        } else {
          nodes_.erase(change.path);
        }
      }
      changed_.notify_all();
    };
    callbacks.failed = [this](const Status& status) {
      const std::lock_guard lock(mutex_);
      failures_ += status.message() + "\n";
      changed_.notify_all();
    };
    return callbacks;
  }
  // "path=data …"; waits until it is so.
  std::string WaitFor(const std::string& want) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return Text() == want; });
    return Text();
  }
  std::string WaitForFailure(const std::string& part) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10),
                      [&] { return failures_.find(part) != std::string::npos; });
    return failures_;
  }

 private:
  std::string Text() const {
    std::string text;
    for (const auto& [path, data] : nodes_) text += path + "=" + data + " ";
    return text;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> nodes_;
  std::string failures_;
};

constexpr int64_t kTimeout = 2 * kNanosPerSecond;
constexpr int64_t kSoon = 10 * kNanosPerMilli;

TEST(ZookeeperTreeWatcher, FollowsATree) {
  FakeZookeeper zookeeper;
  zookeeper.Set("/a", "");
  zookeeper.Set("/a/x", "1");
  zookeeper.Set("/a/x/deep", "2");
  zookeeper.Set("/ab", "not below /a");
  Mirror mirror;
  ZookeeperTreeWatcher watcher({zookeeper.server()}, {"/a"}, kTimeout, kSoon, mirror.callbacks());
  EXPECT_EQ(mirror.WaitFor("/a= /a/x=1 /a/x/deep=2 "), "/a= /a/x=1 /a/x/deep=2 ");
  zookeeper.Set("/a/x", "changed");
  EXPECT_EQ(mirror.WaitFor("/a= /a/x=changed /a/x/deep=2 "), "/a= /a/x=changed /a/x/deep=2 ");
  zookeeper.Set("/a/y", "new");
  zookeeper.Set("/a/y/z", "newer");
  zookeeper.Set("/a/x", "again");
  EXPECT_EQ(mirror.WaitFor("/a= /a/x=again /a/x/deep=2 /a/y=new /a/y/z=newer "),
            "/a= /a/x=again /a/x/deep=2 /a/y=new /a/y/z=newer ");
  zookeeper.Delete("/a/x/deep");
  zookeeper.Delete("/a/x");
  EXPECT_EQ(mirror.WaitFor("/a= /a/y=new /a/y/z=newer "), "/a= /a/y=new /a/y/z=newer ");
}

TEST(ZookeeperTreeWatcher, ADeletedNodeThatIsBackAtOnceIsKept) {
  FakeZookeeper zookeeper;
  zookeeper.Set("/a", "");
  zookeeper.Set("/a/x", "1");
  zookeeper.Set("/a/x/deep", "2");
  Mirror mirror;
  ZookeeperTreeWatcher watcher({zookeeper.server()}, {"/a"}, kTimeout, kSoon, mirror.callbacks());
  EXPECT_EQ(mirror.WaitFor("/a= /a/x=1 /a/x/deep=2 "), "/a= /a/x=1 /a/x/deep=2 ");
  zookeeper.Recreate("/a/x", "back");
  EXPECT_EQ(mirror.WaitFor("/a= /a/x=back /a/x/deep=2 "), "/a= /a/x=back /a/x/deep=2 ");
  // The same of a node at the top: it is no failure.
  zookeeper.Recreate("/a", "top");
  EXPECT_EQ(mirror.WaitFor("/a=top /a/x=back /a/x/deep=2 "), "/a=top /a/x=back /a/x/deep=2 ");
  EXPECT_EQ(zookeeper.connections(), 1);
}

TEST(ZookeeperTreeWatcher, ReadsAgainAfterALostConnection) {
  FakeZookeeper zookeeper;
  zookeeper.Set("/a", "");
  zookeeper.Set("/a/x", "1");
  zookeeper.Set("/a/y", "2");
  Mirror mirror;
  // The first server may be the one that is not there.
  ZookeeperTreeWatcher watcher({"127.0.0.1:1", zookeeper.server()}, {"/a"}, kTimeout, kSoon,
                               mirror.callbacks());
  EXPECT_EQ(mirror.WaitFor("/a= /a/x=1 /a/y=2 "), "/a= /a/x=1 /a/y=2 ");
  zookeeper.Drop();
  zookeeper.Delete("/a/x");
  zookeeper.Set("/a/z", "3");
  EXPECT_EQ(mirror.WaitFor("/a= /a/y=2 /a/z=3 "), "/a= /a/y=2 /a/z=3 ");
  EXPECT_THAT(mirror.WaitForFailure("zk: connection closed"), HasSubstr("zk: connection closed"));
  // Pings keep a quiet session; the server grants 300 ms.
  const int connections = zookeeper.connections();
  for (int i = 0; i < 200 && zookeeper.pings() < 3; ++i) usleep(10'000);
  EXPECT_GE(zookeeper.pings(), 3);
  EXPECT_EQ(zookeeper.connections(), connections);
  // What is no ZooKeeper's record ends the connection, not the watcher.
  zookeeper.SendRaw(std::string("\x7f\xff\xff\xff", 4));
  EXPECT_THAT(mirror.WaitForFailure("zk: a record of"), HasSubstr("zk: a record of 2147483647"));
  zookeeper.Set("/a/z", "4");
  EXPECT_EQ(mirror.WaitFor("/a= /a/y=2 /a/z=4 "), "/a= /a/y=2 /a/z=4 ");
}

TEST(ZookeeperTreeWatcher, APathThatIsNotThereIsAskedForAgain) {
  FakeZookeeper zookeeper;
  Mirror mirror;
  ZookeeperTreeWatcher watcher({zookeeper.server()}, {"/late"}, kTimeout, kSoon,
                               mirror.callbacks());
  EXPECT_THAT(mirror.WaitForFailure("path /late"), HasSubstr("path /late does not exist"));
  zookeeper.Set("/late", "here");
  EXPECT_EQ(mirror.WaitFor("/late=here "), "/late=here ");
}

TEST(ZookeeperDiscovery, MembersBecomeTargets) {
  FakeZookeeper zookeeper;
  zookeeper.Set("/s", "");
  zookeeper.Set("/s/member_1", R"({"serviceEndpoint": {"host": "h1", "port": 80},
    "additionalEndpoints": {"http-admin": {"host": "h2", "port": 81}},
    "status": "ALIVE", "shard": 3})");
  zookeeper.Set("/s/broken", R"({"serviceEndpoint": {"port": "80"}})");
  zookeeper.Set("/s/fraction", R"({"serviceEndpoint": {"host": "h", "port": 80.5}})");
  zookeeper.Set("/s/shard", R"({"serviceEndpoint": {"host": "h", "port": 80}, "shard": "1"})");
  zookeeper.Set("/n", "");
  zookeeper.Set("/n/broken", R"({"host": "h", "port": 1, "name": 5})");
  zookeeper.Set("/n/i1", R"({"host": "::1", "port": 90, "name": "svc"})");
  DiscoveryRegistry registry;
  RegisterZookeeperDiscovery(registry);
  ThreadTaskLoop loop("test");
  SdMetrics metrics;
  DiscoveryEnvironment environment;
  environment.loop = &loop;
  environment.metrics = &metrics;
  std::mutex mutex;
  std::map<std::string, TargetGroupPtr> groups;
  const auto start = [&](const SdConfig& config) {
    auto discoverer = *registry.Create(config, "job", environment);
    loop.RunAndWait([&] {
      discoverer->Start([&](const std::vector<TargetGroupPtr>& update) {
        const std::lock_guard lock(mutex);
        for (const TargetGroupPtr& group : update) {
          if (!group->targets.empty()) groups[group->source] = group;
        }
      });
    });
    return discoverer;
  };
  const auto serverset = start(SdConfig::Make(
      "serverset", ServersetSdConfig{.servers = {zookeeper.server()}, .paths = {"/s"}}));
  const auto found = [&] {
    const std::lock_guard lock(mutex);
    return testing::Print(groups);
  };
  const std::string want =
      "/s/member_1 {}\n"
      "  h1:80 serverset_endpoint_host=h1 serverset_endpoint_host_http_admin=h2"
      " serverset_endpoint_port=80 serverset_endpoint_port_http_admin=81"
      " serverset_path=/s/member_1 serverset_shard=3 serverset_status=ALIVE\n";
  for (int i = 0; i < 500 && found() != want; ++i) usleep(10'000);
  EXPECT_EQ(found(), want);
  loop.RunAndWait([&] { serverset->Stop(); });
  groups.clear();
  const auto nerve = start(
      SdConfig::Make("nerve", NerveSdConfig{.servers = {zookeeper.server()}, .paths = {"/n"}}));
  const std::string nerve_want =
      "/n/i1 {}\n"
      "  [::1]:90 nerve_endpoint_host=::1 nerve_endpoint_name=svc nerve_endpoint_port=90"
      " nerve_path=/n/i1\n";
  for (int i = 0; i < 500 && found() != nerve_want; ++i) usleep(10'000);
  EXPECT_EQ(found(), nerve_want);
  loop.RunAndWait([&] { nerve->Stop(); });
  EXPECT_EQ(metrics.Get("prometheus_treecache_zookeeper_failures_total", {}), 0);
}

}  // namespace
}  // namespace narthex
