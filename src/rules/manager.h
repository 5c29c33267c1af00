// All rule groups of the configuration: loads their files, runs each group on time, replaces what a
// reload changed and leaves the rest running.
//
// Threads: Update and Stop from one thread at a time; reading from any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "promql/parser/parser.h"
#include "rules/group.h"
#include "util/file.h"
#include "util/thread_pool.h"

namespace narthex::rules {

struct ManagerOptions {
  int64_t default_query_offset_nanos = 0;  // global.rule_query_offset at start.
  promql::ParserOptions parser;
  // Ok, or why the text is not a template; `name` is "__alert_<alert>".
  std::function<Status(std::string_view name, std::string_view text)> check_template;
  // Runs rules of one group together that do not depend on each other; its threads bound how many
  // beside the groups' own. Null: one after the other.
  ThreadPool* concurrency = nullptr;
  std::function<void(double seconds)> observe_rule;
  std::function<void(double seconds)> observe_group;
};

class Manager {
 public:
  Manager(ManagerOptions options, RuleEnvironment environment, net::EventLoop& loop,
          ThreadPool& pool, Clock& clock = Clock::System());
  ~Manager();

  // Loads the files that the patterns name. On an error everything goes on as before; each problem
  // is logged. `restore` only for the first load after a start.
  Status Update(int64_t default_interval_nanos, const std::vector<std::string>& file_patterns,
                const Labels& external_labels, const std::string& external_url);

  // Until then loaded groups wait.
  void Start();
  // Waits for running evaluations.
  void Stop();

  // Sorted by file, then name.
  std::vector<std::shared_ptr<const Group>> Groups() const;

 private:
  using GroupMap = std::map<std::pair<std::string, std::string>, std::shared_ptr<Group>>;

  Result<GroupMap> Load(int64_t default_interval_nanos, const std::vector<std::string>& patterns,
                        const std::shared_ptr<const RuleEnvironment>& environment);
  void Schedule(const std::shared_ptr<Group>& group, int64_t due_nanos);
  void Retire(const std::shared_ptr<Group>& group);

  const ManagerOptions options_;
  const RuleEnvironment base_environment_;
  net::EventLoop& loop_;
  ThreadPool& pool_;
  Clock& clock_;

  mutable std::mutex mutex_;
  GroupMap groups_;
  bool started_ = false;
  bool loaded_once_ = false;
  std::string environment_definition_;
  // Timers and tasks hold this; cleared by Stop, after which they do nothing.
  struct Life {
    std::mutex mutex;
    Manager* manager = nullptr;
  };
  std::shared_ptr<Life> life_;
};

}  // namespace narthex::rules
