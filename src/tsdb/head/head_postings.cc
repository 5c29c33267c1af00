#include <algorithm>

#include "tsdb/head/head_querier.h"
#include "tsdb/index/postings.h"

namespace narthex::tsdb {
namespace {

// Looking at one series costs about as much as merging this many references.
constexpr size_t kSeriesLookCost = 4;

}  // namespace

// How one matcher is answered: by the pairs whose series it takes, or, when a series without the
// label satisfies it, by the pairs whose series it refuses.
struct HeadPostings::Plan {
  const Matcher* matcher = nullptr;
  bool subtract = false;
  bool by_lists = false;  // `pairs` is filled.
  std::vector<PairId> pairs;
  size_t references = 0;  // In the lists of `pairs`, or of all pairs of the name.
};

PairId HeadPostings::PairOf(SlotId slot, NameId name) const {
  for (const PairId pair : store_.PairsOf(slot)) {
    if (index_.NameOf(pair) == name) return pair;
  }
  return kNoId;
}

std::vector<uint64_t> HeadPostings::Union(const std::vector<PairId>& pairs) const {
  std::vector<std::vector<uint64_t>> lists;
  lists.reserve(pairs.size());
  for (const PairId pair : pairs) {
    if (index_.PostingCount(pair) == 0) continue;
    index_.ReadPostings(pair, &lists.emplace_back());
  }
  if (lists.size() == 1) return std::move(lists.front());
  return MergePostings<uint64_t>(std::span<const std::vector<uint64_t>>(lists));
}

void HeadPostings::FilterBySeries(const Matcher& matcher, std::vector<uint64_t>* refs) const {
  const NameId name = index_.FindName(matcher.name());
  const bool without = matcher.matches_empty();
  if (name == kNoId) {
    if (!without) refs->clear();
    return;
  }
  HashMap<PairId, bool> verdicts;
  std::erase_if(*refs, [&](uint64_t ref) {
    const SlotId slot = store_.FindRef(ref);
    if (slot == kNoSeries) return true;
    const PairId pair = PairOf(slot, name);
    if (pair == kNoId) return !without;
    const auto [verdict, added] = verdicts.try_emplace(pair, false);
    if (added) verdict->second = matcher.Matches(index_.View(pair).value);
    return !verdict->second;
  });
}

std::vector<uint64_t> HeadPostings::Select(std::span<const Matcher> matchers) const {
  std::vector<Plan> plans;
  for (const Matcher& matcher : matchers) {
    Plan plan;
    plan.matcher = &matcher;
    plan.subtract = matcher.matches_empty();
    const NameId name = index_.FindName(matcher.name());
    const LabelRegex* regex = matcher.type() == MatchType::kRegexp ? matcher.regex() : nullptr;
    if (matcher.type() == MatchType::kEqual && !plan.subtract) {
      plan.by_lists = true;
      const PairId pair = index_.FindPair(matcher.name(), matcher.value());
      if (pair != kNoId) plan.pairs.push_back(pair);
    } else if (regex != nullptr && !plan.subtract && !regex->literal_values().empty()) {
      plan.by_lists = true;
      for (const std::string& value : regex->literal_values()) {
        const PairId pair = index_.FindPair(matcher.name(), value);
        if (pair != kNoId) plan.pairs.push_back(pair);
      }
      std::sort(plan.pairs.begin(), plan.pairs.end());
      plan.pairs.erase(std::unique(plan.pairs.begin(), plan.pairs.end()), plan.pairs.end());
    }
    if (plan.by_lists) {
      for (const PairId pair : plan.pairs) plan.references += index_.PostingCount(pair);
      if (plan.references == 0) return {};
    } else if (name == kNoId) {
      if (!plan.subtract) return {};
      continue;  // Nobody has the label, which satisfies the matcher.
    } else {
      for (const PairId pair : index_.PairsOf(name)) plan.references += index_.PostingCount(pair);
    }
    plans.push_back(std::move(plan));
  }
  // Exact lists first, shortest first; what must be tested comes when few series are left.
  std::stable_sort(plans.begin(), plans.end(), [](const Plan& a, const Plan& b) {
    if (a.by_lists != b.by_lists) return a.by_lists;
    if (a.subtract != b.subtract) return !a.subtract;
    return a.references < b.references;
  });

  bool have = false;
  std::vector<uint64_t> refs;
  for (Plan& plan : plans) {
    if (have && refs.empty()) return refs;
    if (have && refs.size() * kSeriesLookCost < plan.references) {
      FilterBySeries(*plan.matcher, &refs);
      continue;
    }
    if (!plan.by_lists) {
      const NameId name = index_.FindName(plan.matcher->name());
      for (const PairId pair : index_.PairsOf(name)) {
        if (index_.PostingCount(pair) == 0) continue;
        if (plan.matcher->Matches(index_.View(pair).value) != plan.subtract) {
          plan.pairs.push_back(pair);
        }
      }
    }
    if (plan.subtract && !have) {
      refs = store_.AllRefs();
      have = true;
    }
    std::vector<uint64_t> listed = Union(plan.pairs);
    if (!have) {
      refs = std::move(listed);
      have = true;
      continue;
    }
    if (plan.subtract) {
      SubtractFrom(&refs, listed);
    } else {
      IntersectWith(&refs, listed);
    }
  }
  if (!have) refs = store_.AllRefs();
  return refs;
}

}  // namespace narthex::tsdb
