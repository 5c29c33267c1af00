// Keeps an ObjectStore equal to what the API server has: lists in pages, then watches.
//
//   list ──ok──▶ watch ──ends──▶ watch again from the last resource version
//    ▲             └─410 Gone, or an error event──▶ list
//    └─ failures wait 0.8 s … 30 s, doubled each time; a good answer resets
#pragma once

#include <functional>
#include <string>

#include "discovery/http/api_client.h"
#include "discovery/kubernetes/object_store.h"

namespace narthex::kubernetes {

struct WatchTarget {
  std::string base_url;  // "https://10.0.0.1:443", without a slash at the end.
  std::string space;     // Empty: all namespaces.
  std::string label_selector;
  std::string field_selector;
};

class Watcher {
 public:
  // `on_synced` is called once, after the first whole list. All references outlive the watcher.
  Watcher(const ApiClient& api, WatchTarget target, ObjectStore& store,
          std::function<void()> on_synced);

  void Start();
  bool synced() const { return synced_; }

 private:
  enum class End { kResume, kRelist, kFailed };

  Async<Unit> Run();
  Async<Status> List();
  Async<End> Watch();
  End Apply(std::string_view line);
  // The body of a watch's refusal, or why it broke.
  void Fail(const Status& error, std::string_view verb);
  FetchRequest Request(std::vector<std::pair<std::string, std::string>> query) const;
  int64_t NextWaitNanos();
  void CountAnswer(const FetchResponse& answer);

  const ApiClient& api_;
  const WatchTarget target_;
  ObjectStore& store_;
  const std::function<void()> on_synced_;
  std::string version_;
  int64_t wait_nanos_ = 0;
  bool synced_ = false;
  Async<Unit> running_;
};

}  // namespace narthex::kubernetes
