// Reading the head.
//
// A querier takes a snapshot of the commits when it is opened and holds no lock afterwards. Select
// finds the series under the index's shared lock; reading a series copies what is in memory of it
// (a kilobyte at most) under the slab's mutex and decodes without any lock.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/storage.h"
#include "tsdb/head/head.h"

namespace narthex::tsdb {

// References of the series that satisfy all matchers, ascending. With the index lock held.
class HeadPostings {
 public:
  HeadPostings(const LabelIndex& index, const SeriesStore& store) : index_(index), store_(store) {}
  std::vector<uint64_t> Select(std::span<const Matcher> matchers) const;
  // The series' pair of that name; kNoId: it has none.
  PairId PairOf(SlotId slot, NameId name) const;

 private:
  // Whether a series matches can be told from lists of its label's values, or by looking at the
  // series; which is cheaper depends on how many there are.
  struct Plan;
  std::vector<uint64_t> Union(const std::vector<PairId>& pairs) const;
  void FilterBySeries(const Matcher& matcher, std::vector<uint64_t>* refs) const;

  const LabelIndex& index_;
  const SeriesStore& store_;
};

class HeadQuerier : public storage::Querier {
 public:
  HeadQuerier(Head* head, TimeRange range);
  ~HeadQuerier() override;

  Result<std::unique_ptr<storage::SeriesSet>> Select(storage::SeriesOrder order,
                                                     const storage::SelectHints& hints,
                                                     std::span<const Matcher> matchers) override;
  Result<std::vector<std::string>> LabelValues(std::string_view name,
                                               const storage::LabelQueryHints& hints,
                                               std::span<const Matcher> matchers) override;
  Result<std::vector<std::string>> LabelNames(const storage::LabelQueryHints& hints,
                                              std::span<const Matcher> matchers) override;

 private:
  bool OutsideOfHead() const;

  Head* head_;
  TimeRange range_;
  int64_t in_order_from_ms_;
  Isolation::Snapshot* snapshot_;
};

// Reads what the head holds of one series within `range`; see Head::CopySeries.
class HeadSeriesReader {
 public:
  // What all series of a select share.
  struct View {
    TimeRange range;
    int64_t in_order_from_ms = INT64_MIN;
    const Isolation::Snapshot* snapshot = nullptr;
    bool histogram_stats = false;
  };
  HeadSeriesReader(const Head* head, SlotId slot, uint64_t ref, const View& view,
                   std::vector<std::pair<int64_t, int64_t>> deleted)
      : head_(head), slot_(slot), ref_(ref), view_(view), deleted_(std::move(deleted)) {}
  Status Read(storage::SampleColumns* out) const;

 private:
  Status ReadOpen(storage::SampleColumns* out) const;

  const Head* head_;
  SlotId slot_;
  uint64_t ref_;
  View view_;
  std::vector<std::pair<int64_t, int64_t>> deleted_;
};

}  // namespace narthex::tsdb
