#include "discovery/zookeeper/tree_watcher.h"

#include <algorithm>
#include <random>
#include <utility>

#include "util/time.h"

namespace narthex {

namespace {

// Deeper nodes, and more of them, are an error: nobody registers services like that.
constexpr int kDepthMax = 64;
constexpr size_t kNodesMax = 1'000'000;
// How long one wait for events takes at most; it has no other effect.
constexpr int64_t kEventWaitNanos = 3600 * kNanosPerSecond;

std::string ChildPath(const std::string& path, const std::string& name) {
  return path == "/" ? path + name : path + "/" + name;
}

}  // namespace

ZookeeperTreeWatcher::ZookeeperTreeWatcher(std::vector<std::string> servers,
                                           std::vector<std::string> paths, int64_t timeout_nanos,
                                           int64_t retry_nanos, Callbacks callbacks)
    : servers_(std::move(servers)),
      paths_(std::move(paths)),
      retry_nanos_(retry_nanos),
      callbacks_(std::move(callbacks)),
      session_(timeout_nanos),
      thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "zookeeper");
}

ZookeeperTreeWatcher::~ZookeeperTreeWatcher() {
  session_.Interrupt();
  thread_.join();
}

void ZookeeperTreeWatcher::Run() {
  // So that a thousand watchers do not all ask the same server.
  size_t next = std::random_device()() % servers_.size();
  for (;;) {
    Status status = session_.Connect(servers_[next++ % servers_.size()]);
    if (status.ok()) status = Follow();
    if (status.code() == ErrorCode::kCanceled) return;
    callbacks_.failed(status);
    session_.Close();
    if (!session_.Sleep(retry_nanos_)) return;
  }
}

bool ZookeeperTreeWatcher::IsRoot(const std::string& path) const {
  return std::find(paths_.begin(), paths_.end(), path) != paths_.end();
}

Status ZookeeperTreeWatcher::Follow() {
  Nodes nodes;
  for (const std::string& path : paths_) {
    NARTHEX_RETURN_IF_ERROR(Walk(path, 0, &nodes));
    if (!nodes.contains(path)) {
      return MakeError(ErrorCode::kNotFound, "path {} does not exist", path);
    }
  }
  Replace(std::move(nodes));
  for (;;) {
    NARTHEX_TRY(const std::optional<ZookeeperSession::Event> event,
                session_.WaitForEvent(kEventWaitNanos));
    if (event) NARTHEX_RETURN_IF_ERROR(Take(*event));
  }
}

Status ZookeeperTreeWatcher::Walk(const std::string& path, int depth, Nodes* nodes) {
  if (depth > kDepthMax) {
    return MakeError(ErrorCode::kLimitExceeded, "path {} is nested too deeply", path);
  }
  NARTHEX_TRY(std::optional<std::string> data, session_.GetData(path));
  if (!data) return {};
  if (nodes->size() >= kNodesMax) {
    return MakeError(ErrorCode::kLimitExceeded, "more than {} nodes", kNodesMax);
  }
  (*nodes)[path] = *std::move(data);
  NARTHEX_TRY(const std::optional<std::vector<std::string>> children, session_.GetChildren(path));
  if (!children) {
    nodes->erase(path);
    return {};
  }
  for (const std::string& child : *children) {
    NARTHEX_RETURN_IF_ERROR(Walk(ChildPath(path, child), depth + 1, nodes));
  }
  return {};
}

Status ZookeeperTreeWatcher::Take(const ZookeeperSession::Event& event) {
  switch (event.kind) {
    case ZookeeperSession::Event::Kind::kDeleted:
      NARTHEX_RETURN_IF_ERROR(TakeDeleted(event.path));
      break;
    case ZookeeperSession::Event::Kind::kChildrenChanged:
      NARTHEX_RETURN_IF_ERROR(TakeChildren(event.path));
      break;
    default: NARTHEX_RETURN_IF_ERROR(TakeData(event.path));
  }
  if (IsRoot(event.path) && !known_.contains(event.path)) {
    return MakeError(ErrorCode::kNotFound, "path {} no longer exists", event.path);
  }
  return {};
}

// The node is asked for again: it may be back already, and its parent's watch may have been used up
// by another change before, so that nothing else would tell.
Status ZookeeperTreeWatcher::TakeDeleted(const std::string& path) {
  Nodes fresh;
  NARTHEX_RETURN_IF_ERROR(Walk(path, 0, &fresh));
  std::vector<Change> changes;
  Forget(path, &changes);
  std::erase_if(changes, [&](const Change& change) { return fresh.contains(change.path); });
  Add(std::move(fresh), &changes);
  Tell(std::move(changes));
  return {};
}

Status ZookeeperTreeWatcher::TakeData(const std::string& path) {
  NARTHEX_TRY(std::optional<std::string> data, session_.GetData(path));
  std::vector<Change> changes;
  if (!data) {
    Forget(path, &changes);
  } else if (std::string& own = known_[path]; own != *data) {
    own = *data;
    changes.push_back({path, std::move(data)});
  }
  Tell(std::move(changes));
  return {};
}

Status ZookeeperTreeWatcher::TakeChildren(const std::string& path) {
  NARTHEX_TRY(const std::optional<std::vector<std::string>> children, session_.GetChildren(path));
  std::vector<Change> changes;
  if (!children) {
    Forget(path, &changes);
    Tell(std::move(changes));
    return {};
  }
  Nodes fresh;
  for (const std::string& child : *children) {
    const std::string child_path = ChildPath(path, child);
    if (!known_.contains(child_path)) NARTHEX_RETURN_IF_ERROR(Walk(child_path, 1, &fresh));
  }
  if (known_.size() + fresh.size() > kNodesMax) {
    return MakeError(ErrorCode::kLimitExceeded, "more than {} nodes", kNodesMax);
  }
  Add(std::move(fresh), &changes);
  // Those that went, of which their own watches tell as well.
  std::vector<std::string> sorted = *children;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::string> gone;
  const std::string prefix = ChildPath(path, "");
  for (auto node = known_.lower_bound(prefix);
       node != known_.end() && node->first.starts_with(prefix); ++node) {
    const std::string name = node->first.substr(prefix.size());
    const bool is_child = name.find('/') == std::string::npos && !name.empty();
    if (is_child && !std::binary_search(sorted.begin(), sorted.end(), name)) {
      gone.push_back(node->first);
    }
  }
  for (const std::string& gone_path : gone) Forget(gone_path, &changes);
  Tell(std::move(changes));
  return {};
}

void ZookeeperTreeWatcher::Add(Nodes fresh, std::vector<Change>* changes) {
  for (auto& [path, data] : fresh) {
    changes->push_back({path, data});
    known_[path] = std::move(data);
  }
}

void ZookeeperTreeWatcher::Forget(const std::string& path, std::vector<Change>* changes) {
  if (known_.erase(path) > 0) changes->push_back({path, std::nullopt});
  const std::string prefix = ChildPath(path, "");
  for (auto node = known_.lower_bound(prefix);
       node != known_.end() && node->first.starts_with(prefix);) {
    changes->push_back({node->first, std::nullopt});
    node = known_.erase(node);
  }
}

void ZookeeperTreeWatcher::Replace(Nodes nodes) {
  std::vector<Change> changes;
  for (const auto& [path, data] : known_) {
    if (!nodes.contains(path)) changes.push_back({path, std::nullopt});
  }
  for (const auto& [path, data] : nodes) {
    const auto before = known_.find(path);
    if (before == known_.end() || before->second != data) changes.push_back({path, data});
  }
  known_ = std::move(nodes);
  Tell(std::move(changes));
}

void ZookeeperTreeWatcher::Tell(std::vector<Change> changes) {
  if (!changes.empty()) callbacks_.changed(std::move(changes));
}

}  // namespace narthex
