// Keeps the data of all nodes below some paths of a ZooKeeper, and tells of changes. It runs on a
// thread of its own, from the constructor to the destructor.
//
// After a lost connection everything is read anew from the next server, and only differences are
// told; until then what was known stays.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "discovery/zookeeper/zookeeper_session.h"

namespace narthex {

class ZookeeperTreeWatcher {
 public:
  struct Change {
    std::string path;
    std::optional<std::string> data;  // Nothing: the node is gone.
  };
  struct Callbacks {
    // Both on the watcher's thread.
    std::function<void(std::vector<Change>)> changed;
    std::function<void(const Status&)> failed;
  };

  ZookeeperTreeWatcher(std::vector<std::string> servers, std::vector<std::string> paths,
                       int64_t timeout_nanos, int64_t retry_nanos, Callbacks callbacks);
  ~ZookeeperTreeWatcher();

 private:
  using Nodes = std::map<std::string, std::string>;  // Data by path.

  void Run();
  // Reads everything, then follows events until the connection is lost.
  Status Follow();
  Status Walk(const std::string& path, int depth, Nodes* nodes);
  Status Take(const ZookeeperSession::Event& event);
  Status TakeDeleted(const std::string& path);
  Status TakeData(const std::string& path);
  Status TakeChildren(const std::string& path);
  // Tells of what differs from what was known.
  void Replace(Nodes nodes);
  void Add(Nodes fresh, std::vector<Change>* changes);
  void Forget(const std::string& path, std::vector<Change>* changes);
  void Tell(std::vector<Change> changes);
  bool IsRoot(const std::string& path) const;

  const std::vector<std::string> servers_;
  const std::vector<std::string> paths_;
  const int64_t retry_nanos_;
  const Callbacks callbacks_;
  ZookeeperSession session_;
  Nodes known_;
  std::thread thread_;
};

}  // namespace narthex
