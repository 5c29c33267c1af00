// info(): adds the labels of info metrics (target_info) to the series they describe.
//
// Base series and info series belong together when they agree in `instance` and `job`. At each step
// the newest sample of an info metric with those labels counts.
// Specification: parity/promql.md section 5.
#include <algorithm>
#include <map>
#include <set>

#include "promql/engine/evaluator.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kTargetInfo = "target_info";
constexpr std::array<std::string_view, 2> kIdentifying = {"instance", "job"};

// The matchers that pick the info metrics: those given; with nothing but exclusions everything that
// is called like an info metric; else target_info.
std::vector<Matcher> EffectiveNameMatchers(const std::vector<Matcher>& given) {
  if (given.empty()) return {Matcher::Equal(kMetricNameLabel, kTargetInfo)};
  for (const Matcher& matcher : given) {
    if (matcher.type() == MatchType::kEqual || matcher.type() == MatchType::kRegexp) return given;
  }
  std::vector<Matcher> matchers;
  matchers.push_back(*Matcher::Create(MatchType::kRegexp, kMetricNameLabel, ".+_info"));
  matchers.insert(matchers.end(), given.begin(), given.end());
  return matchers;
}

std::string QuoteRegex(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (std::string_view(R"(\.+*?()|[]{}^$)").find(c) != std::string_view::npos) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

// One set of matchers for each pattern of identifying labels that occurs: labels that are there
// match any of their values, labels that are not match nothing.
Result<std::vector<std::vector<Matcher>>> IdentifyingMatchers(const VectorValue& base,
                                                              const std::vector<bool>& ignored) {
  std::map<unsigned, std::array<std::set<std::string_view>, kIdentifying.size()>> groups;
  for (size_t i = 0; i < base.size(); ++i) {
    if (ignored[i]) continue;
    std::array<std::string_view, kIdentifying.size()> values;
    unsigned presence = 0;
    for (size_t l = 0; l < kIdentifying.size(); ++l) {
      values[l] = base[i].labels.Get(kIdentifying[l]);
      if (!values[l].empty()) presence |= 1U << l;
    }
    if (presence == 0) continue;
    for (size_t l = 0; l < kIdentifying.size(); ++l) {
      if (!values[l].empty()) groups[presence][l].insert(values[l]);
    }
  }
  std::vector<std::vector<Matcher>> sets;
  for (const auto& [presence, values] : groups) {
    std::vector<Matcher> matchers;
    for (size_t l = 0; l < kIdentifying.size(); ++l) {
      if (values[l].empty()) {
        matchers.push_back(Matcher::Equal(kIdentifying[l], ""));
        continue;
      }
      std::string pattern;
      for (const std::string_view value : values[l]) {
        if (!pattern.empty()) pattern += '|';
        pattern += QuoteRegex(value);
      }
      NARTHEX_TRY(Matcher matcher, Matcher::Create(MatchType::kRegexp, kIdentifying[l], pattern));
      matchers.push_back(std::move(matcher));
    }
    sets.push_back(std::move(matchers));
  }
  return sets;
}

// Numbers the combinations of info metric, instance and job.
class Signatures {
 public:
  using Key = std::array<std::string, 3>;

  explicit Signatures(const VectorValue& infos) {
    for (const VectorSeries& info : infos) {
      const std::string name(info.labels.metric_name());
      names_.insert(name);
      of_info_.push_back(Add(KeyOf(name, info.labels)));
    }
  }
  size_t size() const { return ordinals_.size(); }
  size_t OfInfo(size_t i) const { return of_info_[i]; }
  // Those that describe the series, one for each info metric that has them.
  std::vector<size_t> OfBase(const Labels& labels) const {
    std::vector<size_t> found;
    for (const std::string& name : names_) {
      const auto at = ordinals_.find(KeyOf(name, labels));
      if (at != ordinals_.end()) found.push_back(at->second);
    }
    return found;
  }

 private:
  static Key KeyOf(const std::string& name, const Labels& labels) {
    return {name, std::string(labels.Get(kIdentifying[0])),
            std::string(labels.Get(kIdentifying[1]))};
  }
  size_t Add(Key key) {
    return ordinals_.try_emplace(std::move(key), ordinals_.size()).first->second;
  }

  std::set<std::string> names_;
  std::map<Key, size_t> ordinals_;
  std::vector<size_t> of_info_;
};

constexpr size_t kNone = static_cast<size_t>(-1);

// The matchers on data labels, by label.
using DataMatchers = std::map<std::string, std::vector<Matcher>, std::less<>>;

// The base labels with what the info series add.
Result<Labels> Enrich(const Labels& base, const VectorValue& infos,
                      const std::vector<size_t>& picked, const DataMatchers& data) {
  LabelsBuilder added;
  for (const size_t index : picked) {
    if (index == kNone) continue;
    for (const LabelView& label : infos[index].labels) {
      if (IsMetadataLabel(label.name)) continue;
      if (!data.empty() && data.find(label.name) == data.end()) continue;
      const std::string_view already = added.Get(label.name);
      if (!already.empty() && already != label.value) {
        return MakeError(ErrorCode::kExecution, "conflicting label: {}", label.name);
      }
      if (!base.Has(label.name)) added.Set(label.name, label.value);
    }
  }
  LabelsBuilder builder(base);
  added.ForEach([&](std::string_view name, std::string_view value) { builder.Set(name, value); });
  return builder.Build();
}

}  // namespace

Result<VectorValue> Evaluator::FetchInfoSeries(const Call& call, const VectorValue& base,
                                               const std::vector<bool>& ignored,
                                               std::span<const Matcher> data_matchers,
                                               std::span<const Matcher> name_matchers,
                                               const InfoReference& reference) {
  NARTHEX_TRY(const auto sets, IdentifyingMatchers(base, ignored));
  const int64_t offset = reference.offset_ns / kNanosPerMilli;
  storage::SelectHints hints;
  hints.start_ms = reference.at_ms.value_or(grid_.start_ms) - (query_->lookback_ms - 1) - offset;
  hints.end_ms = reference.at_ms.value_or(grid_.end_ms) - offset;
  hints.step_ms = grid_.interval_ms;
  hints.function = "info";
  SelectedSeries all{.memory = HoldMemory()};
  for (const std::vector<Matcher>& identifying : sets) {
    std::vector<Matcher> matchers = identifying;
    matchers.insert(matchers.end(), data_matchers.begin(), data_matchers.end());
    matchers.insert(matchers.end(), name_matchers.begin(), name_matchers.end());
    NARTHEX_TRY(SelectedSeries found, SelectSeries(hints, matchers));
    NARTHEX_RETURN_IF_ERROR(all.memory.Grow(static_cast<size_t>(found.memory.bytes())));
    std::move(found.series.begin(), found.series.end(), std::back_inserter(all.series));
  }
  stats_->AddSeries(static_cast<int64_t>(all.series.size()));
  return SampleTimes(call, SeriesList(std::move(all)), reference.at_ms, offset);
}

Result<Value> Evaluator::EvalInfo(const Call& call) {
  const InfoReference reference = InfoReferenceOf(*call.arguments[0]);
  NARTHEX_TRY(Value input, Eval(*call.arguments[0]));
  const VectorValue& base = input.vector;
  DataMatchers data;
  std::vector<Matcher> data_matchers;
  std::vector<Matcher> name_matchers;
  if (call.arguments.size() > 1) {
    for (const Matcher& matcher : call.arguments[1]->As<VectorSelector>().matchers) {
      if (matcher.name() == kMetricNameLabel) {
        name_matchers.push_back(matcher);
      } else {
        data[matcher.name()].push_back(matcher);
        data_matchers.push_back(matcher);
      }
    }
  }
  const std::vector<Matcher> effective = EffectiveNameMatchers(name_matchers);
  // Info series themselves pass through.
  std::vector<bool> ignored(base.size());
  for (size_t i = 0; i < base.size(); ++i) {
    const std::string_view name = base[i].labels.metric_name();
    ignored[i] = std::all_of(effective.begin(), effective.end(),
                             [name](const Matcher& matcher) { return matcher.Matches(name); });
  }
  NARTHEX_TRY(const VectorValue infos,
              FetchInfoSeries(call, base, ignored, data_matchers, effective, reference));
  const int64_t before = query_->current_samples;

  bool keep_unmatched = true;
  for (const Matcher& matcher : data_matchers) {
    keep_unmatched = keep_unmatched && matcher.matches_empty();
  }
  const Signatures signatures(infos);
  // What was picked for a base series last, and the output that belongs to it.
  struct BaseState {
    std::vector<size_t> signatures;
    std::vector<size_t> picked;
    size_t output = kNone;
  };
  std::vector<BaseState> states(base.size());
  for (size_t i = 0; i < base.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(Tick());
    if (!ignored[i]) states[i].signatures = signatures.OfBase(base[i].labels);
  }
  VectorValue output;
  MemoryHold memory = HoldMemory();
  std::map<Labels, size_t> output_of;
  std::vector<size_t> newest(signatures.size());
  for (size_t step = 0; step < steps_; ++step) {
    NARTHEX_RETURN_IF_ERROR(CheckDone());
    const bool any = std::any_of(base.begin(), base.end(), [step](const VectorSeries& series) {
      return series.column.has(step);
    });
    if (!any) continue;
    std::fill(newest.begin(), newest.end(), kNone);
    for (size_t i = 0; i < infos.size(); ++i) {
      if (!infos[i].column.has(step)) continue;
      size_t& best = newest[signatures.OfInfo(i)];
      const double time = infos[i].column.value(step);
      if (best == kNone || infos[best].column.value(step) < time) {
        best = i;
      } else if (infos[best].column.value(step) == time) {
        return MakeError(ErrorCode::kExecution,
                         "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                         infos[best].labels.ToString(), static_cast<int64_t>(time),
                         infos[i].labels.ToString(), static_cast<int64_t>(time));
      }
    }
    for (size_t i = 0; i < base.size(); ++i) {
      if (!base[i].column.has(step)) continue;
      NARTHEX_RETURN_IF_ERROR(Tick());
      BaseState& state = states[i];
      std::vector<size_t> picked;
      bool matched = ignored[i];
      for (const size_t signature : state.signatures) {
        picked.push_back(newest[signature]);
        matched = matched || newest[signature] != kNone;
      }
      if (!matched && !keep_unmatched) continue;
      if (state.output == kNone || picked != state.picked) {
        NARTHEX_TRY(Labels labels, Enrich(base[i].labels, infos, picked, data));
        const auto [at, inserted] = output_of.try_emplace(labels, output.size());
        if (inserted) {
          output.push_back({std::move(labels), base[i].drop_name, StepColumn(steps_)});
          if (memory.counting()) NARTHEX_RETURN_IF_ERROR(memory.Grow(MemoryOf(output.back())));
        }
        state.output = at->second;
        state.picked = std::move(picked);
      }
      if (output[state.output].column.has(step)) {
        return Status(ErrorCode::kExecution, std::string(kDuplicateLabelsText));
      }
      output[state.output].column.SetFrom(step, base[i].column, step);
    }
  }
  const VectorValue* const inputs[] = {&base, &infos};
  return FinishVector(std::move(output), before, inputs, 0);
}

}  // namespace narthex::promql
