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
  Head* head_;
  TimeRange range_;
  Isolation::Snapshot* snapshot_;
};

// Reads what the head holds of one series within `range`; see Head::CopySeries.
class HeadSeriesReader {
 public:
  HeadSeriesReader(const Head* head, SlotId slot, uint64_t ref, TimeRange range,
                   const Isolation::Snapshot* snapshot, bool histogram_stats)
      : head_(head),
        slot_(slot),
        ref_(ref),
        range_(range),
        snapshot_(snapshot),
        histogram_stats_(histogram_stats) {}
  Status Read(storage::SampleColumns* out) const;

 private:
  const Head* head_;
  SlotId slot_;
  uint64_t ref_;
  TimeRange range_;
  const Isolation::Snapshot* snapshot_;
  bool histogram_stats_;
};

}  // namespace narthex::tsdb
