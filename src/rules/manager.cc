#include "rules/manager.h"

#include <algorithm>

#include "config/config.h"
#include "config/rule_file.h"
#include "util/log.h"

namespace narthex::rules {
namespace {

Labels ToLabels(const TextMap& map) {
  LabelsBuilder builder;
  for (const auto& [name, value] : map) builder.Set(name, value);
  return builder.Build();
}

// The group's labels, overridden by the rule's; an empty value takes a label away.
Labels RuleLabels(const RuleGroupConfig& group, const RuleConfig& rule) {
  LabelsBuilder builder;
  for (const auto& [name, value] : group.labels) builder.Set(name, value);
  for (const auto& [name, value] : rule.labels) builder.Set(name, value);
  return builder.Build();
}

// Everything that makes a group what it is, as text.
std::string Definition(const RuleGroupConfig& group, const GroupOptions& options) {
  std::string text =
      fmt::format("{};{};{};", options.interval_nanos, options.limit, options.query_offset_nanos);
  const auto add = [&](std::string_view part) {
    text += fmt::format("{}:", part.size());
    text += part;
  };
  for (const RuleConfig& rule : group.rules) {
    add(rule.record);
    add(rule.alert);
    add(rule.expr);
    text += fmt::format("{};{};", rule.hold.nanos, rule.keep_firing_for.nanos);
    add(RuleLabels(group, rule).encoded());
    add(ToLabels(rule.annotations).encoded());
  }
  return text;
}

}  // namespace

Manager::Manager(ManagerOptions options, RuleEnvironment environment, net::EventLoop& loop,
                 ThreadPool& pool, Clock& clock)
    : options_(std::move(options)),
      base_environment_(std::move(environment)),
      loop_(loop),
      pool_(pool),
      clock_(clock),
      life_(std::make_shared<Life>()) {
  life_->manager = this;
}

Manager::~Manager() {
  Stop();
}

Result<Manager::GroupMap> Manager::Load(int64_t default_interval_nanos,
                                        const std::vector<std::string>& patterns,
                                        const std::shared_ptr<const RuleEnvironment>& environment) {
  RuleFileOptions file_options;
  file_options.check_expression = [this](std::string_view expression) {
    return promql::ParseExpr(expression, options_.parser).status();
  };
  file_options.check_template = options_.check_template;
  GroupMap groups;
  for (const std::string& pattern : patterns) {
    Result<std::vector<std::string>> files = GlobFiles(pattern);
    if (!files.ok()) {
      return MakeError(ErrorCode::kInvalidInput, "failed retrieving rule files for {}: {}", pattern,
                       files.status().message());
    }
    for (const std::string& file : *files) {
      const RuleFileResult loaded = LoadRuleFile(file, file_options);
      if (!loaded.errors.empty()) {
        for (const Status& error : loaded.errors) {
          LOG_ERROR("loading groups failed", {"err", error.message()});
        }
        return Status(ErrorCode::kInvalidInput, "error loading rules, previous rule set restored");
      }
      if (loaded.groups.has_second_document) {
        LOG_WARN("rule file has more than one YAML document; all but the first are ignored",
                 {"file", file});
      }
      for (const RuleGroupConfig& config : loaded.groups.groups) {
        GroupOptions group;
        group.name = config.name;
        group.file = file;
        group.interval_nanos =
            config.interval.nanos > 0 ? config.interval.nanos : default_interval_nanos;
        group.query_offset_nanos =
            config.query_offset ? config.query_offset->nanos : options_.default_query_offset_nanos;
        group.limit = static_cast<size_t>(std::max<int64_t>(config.limit, 0));
        group.restore = !loaded_once_;
        group.definition = Definition(config, group);
        std::vector<std::unique_ptr<Rule>> rules;
        for (const RuleConfig& rule : config.rules) {
          NARTHEX_TRY(promql::ExprPtr expr, promql::ParseExpr(rule.expr, options_.parser));
          Labels labels = RuleLabels(config, rule);
          if (rule.is_alert()) {
            AlertingRuleOptions alert;
            alert.hold_nanos = rule.hold.nanos;
            alert.keep_firing_for_nanos = rule.keep_firing_for.nanos;
            alert.annotations = ToLabels(rule.annotations);
            alert.restored = !group.restore;
            rules.push_back(std::make_unique<AlertingRule>(rule.alert, std::move(expr),
                                                           std::move(labels), std::move(alert)));
          } else {
            rules.push_back(
                std::make_unique<RecordingRule>(rule.record, std::move(expr), std::move(labels)));
          }
        }
        const std::pair<std::string, std::string> key(file, config.name);
        auto made =
            std::make_shared<Group>(std::move(group), std::move(rules), environment, clock_);
        made->concurrency = options_.concurrency;
        made->observe_rule = options_.observe_rule;
        made->observe_group = options_.observe_group;
        groups.insert_or_assign(key, std::move(made));
      }
    }
  }
  return groups;
}

Status Manager::Update(int64_t default_interval_nanos,
                       const std::vector<std::string>& file_patterns, const Labels& external_labels,
                       const std::string& external_url) {
  auto environment = std::make_shared<RuleEnvironment>(base_environment_);
  environment->external_labels = external_labels;
  environment->external_url = external_url;
  NARTHEX_TRY(GroupMap loaded, Load(default_interval_nanos, file_patterns, environment));

  const std::string environment_definition = external_labels.encoded() + external_url;
  std::vector<std::shared_ptr<Group>> starting;
  std::vector<std::shared_ptr<Group>> removed;
  bool started = false;
  {
    const std::lock_guard lock(mutex_);
    const bool same_environment = environment_definition == environment_definition_;
    environment_definition_ = environment_definition;
    loaded_once_ = true;
    started = started_;
    for (auto& [key, group] : loaded) {
      const auto old = groups_.find(key);
      if (old == groups_.end()) {
        starting.push_back(group);
        continue;
      }
      if (same_environment && old->second->options().definition == group->options().definition) {
        group = old->second;
      } else {
        old->second->Stop();
        group->CopyStateFrom(*old->second);
        starting.push_back(group);
      }
      groups_.erase(old);
    }
    for (const auto& [key, group] : groups_) removed.push_back(group);
    groups_ = std::move(loaded);
  }
  for (const auto& group : removed) Retire(group);
  if (started) {
    for (const auto& group : starting) Schedule(group, group->FirstDue());
  }
  return {};
}

void Manager::Start() {
  std::vector<std::shared_ptr<Group>> groups;
  {
    const std::lock_guard lock(mutex_);
    if (started_) return;
    started_ = true;
    for (const auto& [key, group] : groups_) groups.push_back(group);
  }
  for (const auto& group : groups) Schedule(group, group->FirstDue());
}

void Manager::Schedule(const std::shared_ptr<Group>& group, int64_t due_nanos) {
  const std::weak_ptr<Group> weak = group;
  loop_.RunAfter(due_nanos - clock_.NowNanos(), [life = life_, weak] {
    const std::lock_guard lock(life->mutex);
    if (life->manager == nullptr) return;
    life->manager->pool_.Submit([life, weak] {
      const std::shared_ptr<Group> due = weak.lock();
      if (due == nullptr) return;
      const int64_t next = due->RunDue();
      const std::lock_guard inner(life->mutex);
      if (next != 0 && life->manager != nullptr) life->manager->Schedule(due, next);
    });
  });
}

// What a group wrote goes stale when it is gone. The markers are written two intervals later, so
// that a group of another name that writes the same series comes first and wins.
void Manager::Retire(const std::shared_ptr<Group>& group) {
  group->Stop();
  const int64_t removed_nanos = clock_.NowNanos();
  loop_.RunAfter(2 * group->options().interval_nanos, [life = life_, group, removed_nanos] {
    const std::lock_guard lock(life->mutex);
    if (life->manager == nullptr) return;
    Manager* manager = life->manager;
    manager->pool_.Submit([group, removed_nanos] { group->WriteStaleMarkers(removed_nanos); });
  });
}

void Manager::Stop() {
  {
    const std::lock_guard lock(life_->mutex);
    life_->manager = nullptr;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [key, group] : groups_) group->Stop();
}

std::vector<std::shared_ptr<const Group>> Manager::Groups() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Group>> groups;
  groups.reserve(groups_.size());
  for (const auto& [key, group] : groups_) groups.push_back(group);
  return groups;
}

}  // namespace narthex::rules
