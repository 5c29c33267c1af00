// What each operator of a query did, measured while it ran (`analyze`).
//
// Operators are the nodes of the plan. The evaluator opens a scope around each of them; sources
// whose columns are made batch by batch on several threads report each batch. A query that is not
// analysed has no profile, and pays a comparison with null per operator and batch.
//
//   wall       from the scope's begin to its end, with everything below: what the user waits for
//   busy       what threads spent on the operator's own columns, added up over the threads
//
// Reading and deciding on samples happen in one pass over a series; the time of a pass is split
// between a range function and its selector by what the threads measured.
//
// Threads: the query's thread only; workers count in their WorkerState.
#pragma once

#include <cstddef>
#include <cstdint>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "promql/engine/value.h"
#include "promql/parser/ast.h"
#include "util/time.h"

namespace narthex::promql {

struct OperatorProfile {
  int64_t evaluations = 0;
  int64_t wall_ns = 0;
  int64_t busy_ns = 0;
  int64_t series_selected = 0;
  int64_t series = 0;        // In the result.
  int64_t samples_read = 0;  // Decoded by a selector; of a subquery, those handed on.
  int64_t samples = 0;       // In the result; a histogram is one.
  int64_t bytes = 0;         // What the result takes in memory; of a streamed one, of all batches.
  int64_t batches = 0;
  int64_t threads = 0;  // That took part at once, at most.
  // Window plans (window_plan.h): series that could use one made for another, plans made.
  int64_t windows_shared = 0;
  int64_t windows_made = 0;
  bool reused = false;    // The result was that of an equal part of the query.
  bool streamed = false;  // The result never stood in memory as a whole.
};

class QueryProfile {
 public:
  // Null: nothing was recorded.
  const OperatorProfile* Find(const Expr& expr) const {
    const auto at = operators_.find(&expr);
    return at == operators_.end() ? nullptr : &at->second;
  }
  OperatorProfile& At(const Expr& expr) { return operators_[&expr]; }
  bool IsOpen(const Expr& expr) const { return open_ == &expr; }

  // Adds the time of its scope to the operator, unless a scope of the same one is open around it.
  // Null profile: does nothing.
  class Scope {
   public:
    Scope(QueryProfile* profile, const Expr& expr) : profile_(profile), expr_(expr) {
      if (profile_ == nullptr || profile_->open_ == &expr) {
        profile_ = nullptr;
        return;
      }
      outer_ = std::exchange(profile_->open_, &expr);
      start_ns_ = MonotonicNanos();
    }
    ~Scope() {
      if (profile_ == nullptr) return;
      profile_->open_ = outer_;
      profile_->At(expr_).wall_ns += MonotonicNanos() - start_ns_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    QueryProfile* profile_;
    const Expr& expr_;
    const Expr* outer_ = nullptr;
    int64_t start_ns_ = 0;
  };

  void RecordResult(const Expr& expr, const Value& value);

 private:
  std::unordered_map<const Expr*, OperatorProfile> operators_;
  const Expr* open_ = nullptr;
};

// How many of the ids are different; default ones stand for nobody.
int64_t CountThreads(std::vector<std::thread::id> ids);

}  // namespace narthex::promql
