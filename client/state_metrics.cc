// Info and StateSet: metrics whose texts change while their value is 1 or 0.
#include <algorithm>
#include <mutex>

#include "narthex/client/info.h"
#include "narthex/client/names.h"
#include "narthex/client/state_set.h"
#include "utf8.h"

namespace narthex::client {
namespace {

LabelSet Merge(const LabelSet& own, const Labels& added) {
  Labels all(own.begin(), own.end());
  all.insert(all.end(), added.begin(), added.end());
  std::sort(all.begin(), all.end());
  return all;
}

Status Invalid(std::string message) {
  return {StatusCode::kInvalid, std::move(message)};
}

}  // namespace

namespace detail {

class InfoCore final : public MetricCore {
 public:
  explicit InfoCore(const Description& description) : name_(description.name) {
    for (const LabelPair& label : description.const_labels) family_labels_.push_back(label.name);
    family_labels_.insert(family_labels_.end(), description.variable_labels.begin(),
                          description.variable_labels.end());
  }

  Status Set(Labels facts) {
    std::sort(facts.begin(), facts.end());
    const std::string* previous = nullptr;
    for (const LabelPair& fact : facts) {
      if (!IsValidLabelName(fact.name, NameValidation::kUtf8) || fact.name.rfind("__", 0) == 0) {
        return Invalid(Quote(fact.name) + " is not a valid label name for metric " + Quote(name_));
      }
      if (!IsValidUtf8(fact.value)) {
        return Invalid("label " + fact.name + ": value " + Quote(fact.value) +
                       " is not valid UTF-8");
      }
      const bool of_family = std::find(family_labels_.begin(), family_labels_.end(), fact.name) !=
                             family_labels_.end();
      if (of_family || (previous != nullptr && *previous == fact.name)) {
        return Invalid("duplicate label name " + Quote(fact.name) + " for metric " + Quote(name_));
      }
      previous = &fact.name;
    }
    const std::lock_guard lock(mutex_);
    facts_ = std::move(facts);
    return {};
  }

  Labels Value() const {
    const std::lock_guard lock(mutex_);
    return facts_;
  }

  MetricValue Read() override { return GaugeValue{1}; }
  void Collect(const LabelSet& labels, std::vector<Metric>& out) override {
    out.push_back({Merge(labels, Value()), GaugeValue{1}, std::nullopt});
  }

 private:
  const std::string name_;
  std::vector<std::string> family_labels_;  // Constant.
  mutable std::mutex mutex_;
  Labels facts_;  // Guarded by mutex_; sorted.
};

class StateSetCore final : public MetricCore {
 public:
  StateSetCore(StateSetOptions options, const Description& description)
      : name_(description.name), states_(std::move(options.states)), on_(states_.size()) {
    if (!options.starts_empty && !on_.empty()) on_[0] = true;
  }

  // `others`: what becomes of the other states.
  enum class Others : unsigned char { kOff, kStay };
  Status Set(std::string_view state, bool on, Others others) {
    const size_t at = Find(state);
    if (at == states_.size()) {
      return Invalid(Quote(state) + " is not a state of metric " + Quote(name_));
    }
    const std::lock_guard lock(mutex_);
    if (others == Others::kOff) std::fill(on_.begin(), on_.end(), false);
    on_[at] = on;
    return {};
  }

  bool IsOn(std::string_view state) const {
    const size_t at = Find(state);
    const std::lock_guard lock(mutex_);
    return at < states_.size() && on_[at];
  }

  MetricValue Read() override { return GaugeValue{0}; }
  void Collect(const LabelSet& labels, std::vector<Metric>& out) override {
    std::vector<bool> on;
    {
      const std::lock_guard lock(mutex_);
      on = on_;
    }
    for (size_t i = 0; i < states_.size(); ++i) {
      out.push_back(
          {Merge(labels, {{name_, states_[i]}}), GaugeValue{on[i] ? 1.0 : 0.0}, std::nullopt});
    }
  }

 private:
  size_t Find(std::string_view state) const {
    return static_cast<size_t>(std::find(states_.begin(), states_.end(), state) - states_.begin());
  }

  const std::string name_;
  const std::vector<std::string> states_;
  mutable std::mutex mutex_;
  std::vector<bool> on_;  // Guarded by mutex_; one a state.
};

}  // namespace detail

Info::Info(std::shared_ptr<detail::MetricCore> core)
    : core_(std::static_pointer_cast<Core>(std::move(core))) {}

Status Info::Set(Labels facts) const {
  return core_ ? core_->Set(std::move(facts)) : Status();
}

Labels Info::Value() const {
  return core_ ? core_->Value() : Labels();
}

std::shared_ptr<detail::MetricCore> Info::NewCore(const Options&, const Description& description) {
  return std::make_shared<Core>(description);
}

StateSet::StateSet(std::shared_ptr<detail::MetricCore> core)
    : core_(std::static_pointer_cast<Core>(std::move(core))) {}

Status StateSet::Set(std::string_view state) const {
  return core_ ? core_->Set(state, true, Core::Others::kOff) : Status();
}

Status StateSet::Set(std::string_view state, bool on) const {
  return core_ ? core_->Set(state, on, Core::Others::kStay) : Status();
}

bool StateSet::IsOn(std::string_view state) const {
  return core_ && core_->IsOn(state);
}

std::shared_ptr<detail::MetricCore> StateSet::NewCore(const Options& options,
                                                      const Description& description) {
  return std::make_shared<Core>(options, description);
}

Status StateSet::CheckOptions(const Options& options) {
  if (options.states.empty()) return Invalid("a state set needs at least one state");
  std::vector<std::string_view> sorted(options.states.begin(), options.states.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) return Invalid("state " + Quote(*twice) + " is declared twice");
  for (const std::string_view state : sorted) {
    if (!IsValidUtf8(state)) return Invalid("state " + Quote(state) + " is not valid UTF-8");
  }
  return {};
}

}  // namespace narthex::client
