// A group: rules that are evaluated together, one after the other, every interval.
//
// Evaluations happen at slots: multiples of the interval plus an offset that the group's identity
// decides, so that groups spread over time and restarts keep their rhythm.
// Specification: parity/rules-alerting.md sections 1, 2, 5 and 8.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "rules/rule.h"
#include "util/hash_map.h"
#include "util/thread_pool.h"
#include "util/time.h"

namespace narthex::rules {

struct GroupOptions {
  std::string name;
  std::string file;
  int64_t interval_nanos = 60'000'000'000;
  int64_t query_offset_nanos = 0;
  size_t limit = 0;
  bool restore = false;  // Look for alerts from before a restart.
  // Equal for two loads of the same definition: then the old group goes on.
  std::string definition;
};

// The slot of such a group at or before a time.
int64_t SlotAt(const GroupOptions& options, int64_t now_nanos);

// For /metrics; labels rule_group="<file>;<name>".
struct GroupCounters {
  std::atomic<uint64_t> evaluations{0};
  std::atomic<uint64_t> failures{0};
  std::atomic<uint64_t> iterations{0};
  std::atomic<uint64_t> iterations_missed{0};
  std::atomic<uint64_t> last_samples{0};
  std::atomic<int64_t> last_duration_nanos{0};
  std::atomic<int64_t> last_rule_duration_sum_nanos{0};
  std::atomic<int64_t> last_restore_nanos{0};
  std::atomic<int64_t> last_evaluation_nanos{0};
};

class Group {
 public:
  Group(GroupOptions options, std::vector<std::unique_ptr<Rule>> rules,
        std::shared_ptr<const RuleEnvironment> environment, Clock& clock);

  const GroupOptions& options() const { return options_; }
  const std::vector<std::unique_ptr<Rule>>& rules() const { return rules_; }
  const GroupCounters& counters() const { return counters_; }

  // The slot at or before a time.
  int64_t SlotAt(int64_t now_nanos) const;

  // Evaluates every rule once, as of the slot. One call at a time.
  void Evaluate(int64_t slot_nanos);
  // Called time after time by the manager, on a pool thread: counts slots that were missed,
  // evaluates the latest, restores alerts after the second evaluation. Gives the time of the next.
  int64_t RunDue();
  // When the first evaluation is due.
  int64_t FirstDue();

  // Before the first evaluation: goes on where the replaced group was.
  void CopyStateFrom(Group& previous);
  // Marks everything that the group wrote as stale at the time when it was removed: later, and a
  // renamed group that writes the same series would lose them.
  void WriteStaleMarkers(int64_t time_nanos);

  // After it returned no evaluation runs or will. An evaluation that runs ends with its rule.
  void Stop();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  // Where rules that do not depend on each other run together; null: one after the other. Set
  // before the first evaluation, outlives the group.
  ThreadPool* concurrency = nullptr;

  // Durations of single rules and whole iterations, for histograms; null: not observed.
  std::function<void(double seconds)> observe_rule;
  std::function<void(double seconds)> observe_group;

 private:
  using SeriesSetOfRule = HashSet<Labels, LabelsHash>;

  void EvaluateRule(size_t index, const EvaluationTime& time);
  Status Store(size_t index, const EvaluationTime& time, std::vector<RuleSample> samples);
  void AppendStale(storage::Appender& appender, const SeriesSetOfRule& series, int64_t time_ms);
  void RestoreAlerts();

  const GroupOptions options_;
  const std::vector<std::unique_ptr<Rule>> rules_;
  const std::shared_ptr<const RuleEnvironment> environment_;
  Clock& clock_;
  const int64_t offset_nanos_;
  const std::pair<std::string, std::string> identity_;
  const std::vector<std::vector<size_t>> batches_;  // Of rules that may run together.
  GroupCounters counters_;
  std::atomic<uint64_t> samples_{0};  // Of the evaluation that runs.
  std::atomic<bool> stopping_{false};

  std::mutex run_mutex_;  // Held during an evaluation.
  bool stopped_ = false;  // The rest is guarded by run_mutex_.
  int64_t slot_nanos_ = 0;
  int iterations_before_restore_;                 // 0: nothing is left to restore.
  std::vector<SeriesSetOfRule> previous_series_;  // By rule: what the last evaluation wrote.
  SeriesSetOfRule orphaned_series_;               // Of rules that a reload took away.
};

}  // namespace narthex::rules
