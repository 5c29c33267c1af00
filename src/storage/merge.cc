#include "storage/merge.h"

#include <algorithm>
#include <utility>

namespace narthex::storage {
namespace {

class EmptySet : public SeriesSet {
 public:
  std::unique_ptr<Series> Next() override { return nullptr; }
};

class NoData : public Querier {
 public:
  Result<std::unique_ptr<SeriesSet>> Select(SeriesOrder, const SelectHints&,
                                            std::span<const Matcher>) override {
    return EmptySeriesSet();
  }
  Result<std::vector<std::string>> LabelValues(std::string_view, const LabelQueryHints&,
                                               std::span<const Matcher>) override {
    return std::vector<std::string>();
  }
  Result<std::vector<std::string>> LabelNames(const LabelQueryHints&,
                                              std::span<const Matcher>) override {
    return std::vector<std::string>();
  }
};

// Copies sample `from` of `part` to the end of `out`. Hints of histograms stay true only between
// neighbours of one store.
void CopySample(const SampleColumns& part, size_t from, bool switched, SampleColumns* out) {
  if (const FloatHistogram* histogram = part.histogram(from); histogram != nullptr) {
    if (switched && histogram->counter_reset_hint != CounterResetHint::kGauge &&
        histogram->counter_reset_hint != CounterResetHint::kUnknown) {
      auto copy = std::make_shared<FloatHistogram>(*histogram);
      copy->counter_reset_hint = CounterResetHint::kUnknown;
      out->AddHistogram(part.timestamps_ms[from], std::move(copy));
    } else {
      out->AddHistogram(part.timestamps_ms[from], part.histograms[from]);
    }
  } else {
    out->AddFloat(part.timestamps_ms[from], part.values[from]);
  }
  if (!part.start_timestamps_ms.empty()) out->SetStartTimestamp(part.start_timestamps_ms[from]);
}

// Copies the samples [begin, end) of `columns`.
SampleColumns Slice(const SampleColumns& columns, size_t begin, size_t end) {
  SampleColumns slice;
  const auto copy = [&](const auto& from, auto* to) {
    if (from.empty()) return;
    to->assign(from.begin() + static_cast<std::ptrdiff_t>(begin),
               from.begin() + static_cast<std::ptrdiff_t>(end));
  };
  copy(columns.timestamps_ms, &slice.timestamps_ms);
  copy(columns.values, &slice.values);
  copy(columns.histograms, &slice.histograms);
  copy(columns.start_timestamps_ms, &slice.start_timestamps_ms);
  return slice;
}

void Truncate(SampleColumns* columns, size_t size) {
  columns->timestamps_ms.resize(size);
  columns->values.resize(size);
  if (!columns->histograms.empty()) columns->histograms.resize(size);
  if (!columns->start_timestamps_ms.empty()) columns->start_timestamps_ms.resize(size);
}

// The first sample behind a change of stores: what its hint says about the sample before is not
// known to hold.
void ForgetResetHint(std::shared_ptr<const FloatHistogram>* histogram) {
  if (*histogram == nullptr || (*histogram)->counter_reset_hint == CounterResetHint::kGauge ||
      (*histogram)->counter_reset_hint == CounterResetHint::kUnknown) {
    return;
  }
  auto copy = std::make_shared<FloatHistogram>(**histogram);
  copy->counter_reset_hint = CounterResetHint::kUnknown;
  *histogram = std::move(copy);
}

class MergedSeries : public Series {
 public:
  explicit MergedSeries(std::vector<std::unique_ptr<Series>> parts) : parts_(std::move(parts)) {}
  const Labels& labels() const override { return parts_.front()->labels(); }

  // Stores mostly follow one another in time: each is read to where its samples belong. From where
  // that turns out to be wrong, the parts are taken apart and merged.
  Status Read(SampleColumns* out) const override {
    // What can be read is given beside the error: a damaged chunk hides no more than it must.
    Status status;
    const auto read_part = [&](size_t part, SampleColumns* to) {
      Status read = parts_[part]->Read(to);
      if (status.ok()) status = std::move(read);
    };
    const size_t base = out->size();
    std::vector<size_t> begins;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const size_t begin = out->size();
      begins.push_back(begin);
      read_part(i, out);
      if (begin == base || out->size() == begin) continue;
      if (out->timestamps_ms[begin] > out->timestamps_ms[begin - 1]) {
        if (!out->histograms.empty()) ForgetResetHint(&out->histograms[begin]);
        continue;
      }
      begins.push_back(out->size());
      std::vector<SampleColumns> columns;
      for (size_t part = 0; part <= i; ++part) {
        columns.push_back(Slice(*out, begins[part], begins[part + 1]));
      }
      Truncate(out, base);
      for (size_t part = i + 1; part < parts_.size(); ++part) {
        read_part(part, &columns.emplace_back());
      }
      MergeColumns(columns, out);
      return status;
    }
    return status;
  }

 private:
  std::vector<std::unique_ptr<Series>> parts_;
};

class MergedSet : public SeriesSet {
 public:
  explicit MergedSet(std::vector<std::unique_ptr<SeriesSet>> sets) : sets_(std::move(sets)) {
    heads_.resize(sets_.size());
    for (size_t i = 0; i < sets_.size(); ++i) Advance(i);
  }

  std::unique_ptr<Series> Next() override {
    // Few stores: looking at each head is cheaper than keeping a heap.
    const Series* least = nullptr;
    for (const auto& head : heads_) {
      if (head != nullptr && (least == nullptr || head->labels() < least->labels())) {
        least = head.get();
      }
    }
    if (least == nullptr) return nullptr;
    std::vector<std::unique_ptr<Series>> parts;
    for (size_t i = 0; i < heads_.size(); ++i) {
      if (heads_[i] == nullptr || heads_[i]->labels() != least->labels()) continue;
      // `least` stays valid: it is one of the parts.
      parts.push_back(std::move(heads_[i]));
      Advance(i);
    }
    if (parts.size() == 1) return std::move(parts.front());
    return std::make_unique<MergedSeries>(std::move(parts));
  }

  Status status() const override {
    for (const auto& set : sets_) {
      if (Status status = set->status(); !status.ok()) return status;
    }
    return {};
  }
  std::vector<std::string> warnings() const override {
    std::vector<std::string> all;
    for (const auto& set : sets_) {
      for (std::string& warning : set->warnings()) {
        if (std::find(all.begin(), all.end(), warning) == all.end()) {
          all.push_back(std::move(warning));
        }
      }
    }
    return all;
  }

 private:
  void Advance(size_t i) { heads_[i] = sets_[i]->Next(); }

  std::vector<std::unique_ptr<SeriesSet>> sets_;
  std::vector<std::unique_ptr<Series>> heads_;
};

std::vector<std::string> Unite(std::vector<std::vector<std::string>> lists, size_t limit) {
  std::vector<std::string> all;
  for (auto& list : lists) {
    all.insert(all.end(), std::make_move_iterator(list.begin()),
               std::make_move_iterator(list.end()));
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (limit > 0 && all.size() > limit) all.resize(limit);
  return all;
}

class MergedQuerier : public Querier {
 public:
  explicit MergedQuerier(std::vector<std::unique_ptr<Querier>> queriers)
      : queriers_(std::move(queriers)) {}

  Result<std::unique_ptr<SeriesSet>> Select(SeriesOrder, const SelectHints& hints,
                                            std::span<const Matcher> matchers) override {
    std::vector<std::unique_ptr<SeriesSet>> sets;
    for (const auto& querier : queriers_) {
      // Merging needs order whatever the caller asked for.
      NARTHEX_TRY(std::unique_ptr<SeriesSet> set,
                  querier->Select(SeriesOrder::kSorted, hints, matchers));
      sets.push_back(std::move(set));
    }
    return MergeSeriesSets(std::move(sets));
  }
  Result<std::vector<std::string>> LabelValues(std::string_view name, const LabelQueryHints& hints,
                                               std::span<const Matcher> matchers) override {
    std::vector<std::vector<std::string>> lists;
    for (const auto& querier : queriers_) {
      NARTHEX_TRY(std::vector<std::string> list, querier->LabelValues(name, hints, matchers));
      lists.push_back(std::move(list));
    }
    return Unite(std::move(lists), hints.limit);
  }
  Result<std::vector<std::string>> LabelNames(const LabelQueryHints& hints,
                                              std::span<const Matcher> matchers) override {
    std::vector<std::vector<std::string>> lists;
    for (const auto& querier : queriers_) {
      NARTHEX_TRY(std::vector<std::string> list, querier->LabelNames(hints, matchers));
      lists.push_back(std::move(list));
    }
    return Unite(std::move(lists), hints.limit);
  }

 private:
  std::vector<std::unique_ptr<Querier>> queriers_;
};

// Whether all of `a` lies before all of `b`.
bool Precedes(const SampleColumns& a, const SampleColumns& b) {
  return a.timestamps_ms.back() < b.timestamps_ms.front();
}

void AppendColumns(const SampleColumns& part, bool switched, SampleColumns* out) {
  const bool plain = part.histograms.empty() && part.start_timestamps_ms.empty() &&
                     out->histograms.empty() && out->start_timestamps_ms.empty();
  if (plain) {
    out->timestamps_ms.insert(out->timestamps_ms.end(), part.timestamps_ms.begin(),
                              part.timestamps_ms.end());
    out->values.insert(out->values.end(), part.values.begin(), part.values.end());
    return;
  }
  for (size_t i = 0; i < part.size(); ++i) CopySample(part, i, switched && i == 0, out);
}

}  // namespace

void MergeColumns(const std::vector<SampleColumns>& parts, SampleColumns* out) {
  std::vector<const SampleColumns*> live;
  for (const SampleColumns& part : parts) {
    if (!part.empty()) live.push_back(&part);
  }
  if (live.empty()) return;
  std::vector<const SampleColumns*> by_time = live;
  std::stable_sort(by_time.begin(), by_time.end(), [](const auto* a, const auto* b) {
    return a->timestamps_ms.front() < b->timestamps_ms.front();
  });
  bool disjoint = true;
  for (size_t i = 1; i < by_time.size(); ++i) disjoint &= Precedes(*by_time[i - 1], *by_time[i]);
  if (disjoint) {
    for (size_t i = 0; i < by_time.size(); ++i) AppendColumns(*by_time[i], i > 0, out);
    return;
  }
  std::vector<size_t> at(live.size(), 0);
  size_t last_part = SIZE_MAX;
  for (;;) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < live.size(); ++i) {
      if (at[i] == live[i]->size()) continue;
      if (best == SIZE_MAX || live[i]->timestamps_ms[at[i]] < live[best]->timestamps_ms[at[best]]) {
        best = i;
      }
    }
    if (best == SIZE_MAX) return;
    const int64_t t = live[best]->timestamps_ms[at[best]];
    CopySample(*live[best], at[best], last_part != SIZE_MAX && last_part != best, out);
    last_part = best;
    for (size_t i = 0; i < live.size(); ++i) {
      if (at[i] < live[i]->size() && live[i]->timestamps_ms[at[i]] == t) ++at[i];
    }
  }
}

std::unique_ptr<SeriesSet> EmptySeriesSet() {
  return std::make_unique<EmptySet>();
}
std::unique_ptr<Querier> EmptyQuerier() {
  return std::make_unique<NoData>();
}

std::unique_ptr<SeriesSet> MergeSeriesSets(std::vector<std::unique_ptr<SeriesSet>> sets) {
  if (sets.empty()) return EmptySeriesSet();
  if (sets.size() == 1) return std::move(sets.front());
  return std::make_unique<MergedSet>(std::move(sets));
}

std::unique_ptr<Querier> MergeQueriers(std::vector<std::unique_ptr<Querier>> queriers) {
  if (queriers.empty()) return EmptyQuerier();
  if (queriers.size() == 1) return std::move(queriers.front());
  return std::make_unique<MergedQuerier>(std::move(queriers));
}

}  // namespace narthex::storage
