// The store of a unit test: input series that appear as time goes on, and what rules write.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "promql/script/commands.h"
#include "promql/script/memory_store.h"
#include "storage/storage.h"
#include "util/hash_map.h"
#include "util/status.h"

namespace narthex::apps {

class RuleTestStore : public storage::Appendable {
 public:
  // `series` in script notation, a line each, one value every `interval_nanos` from `start_ms` on.
  static Result<std::unique_ptr<RuleTestStore>> Create(const std::vector<std::string>& series,
                                                       int64_t interval_nanos, int64_t start_ms);

  // Adds the input samples up to a time. Times ascend from call to call.
  Status LoadUntil(int64_t time_ms);
  storage::Queryable& queryable() { return store_; }
  // Refuses what a database would: samples before the newest of their series, and others at its
  // time.
  std::unique_ptr<storage::Appender> NewAppender() override;

 private:
  class Appender;
  struct Sample {
    int64_t time_ms = 0;
    double value = 0;
    std::shared_ptr<const FloatHistogram> histogram;
    int64_t start_ms = 0;
  };

  RuleTestStore() = default;
  Status Check(const Labels& labels, const Sample& sample) const;
  void Add(const Labels& labels, const Sample& sample);

  promql::MemoryStore store_;
  std::vector<promql::script::LoadSeries> input_;
  std::vector<size_t> next_;  // By series: its first sample that is not loaded.
  HashMap<Labels, Sample, LabelsHash> newest_;
};

}  // namespace narthex::apps
