#include "apps/tool_test_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "apps/alert_templates.h"
#include "apps/tool_json_diff.h"
#include "apps/tool_test_store.h"
#include "config/rule_file.h"
#include "model/float_histogram_ops.h"
#include "promql/engine/engine.h"
#include "promql/parser/series_description.h"
#include "rules/group.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

// Bound of one query, as upstream's unit tests have it.
constexpr size_t kSamplesMax = 10'000;

using Errors = std::vector<std::string>;

Labels ToLabels(const TextMap& map) {
  LabelsBuilder builder;
  for (const auto& [name, value] : map) builder.Set(name, value);
  return builder.Build();
}

// "{a="b"} 1E+00"
std::string FormatUpperE(double value) {
  std::string text = FormatFloatE(value);
  if (std::isfinite(value)) std::replace(text.begin(), text.end(), 'e', 'E');
  return text;
}

// Every line but the first moved to the right.
std::string IndentLines(std::string_view text, std::string_view indent) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

struct AlertView {
  Labels labels;
  Labels annotations;
  friend auto operator<=>(const AlertView&, const AlertView&) = default;
};

std::string AlertsText(const std::vector<AlertView>& alerts) {
  if (alerts.empty()) return "[]";
  std::string out = "[";
  for (size_t i = 0; i < alerts.size(); ++i) {
    const std::string body = "\nLabels:" + alerts[i].labels.ToString() +
                             "\nAnnotations:" + alerts[i].annotations.ToString();
    out += fmt::format("{}\n{}:{}", i == 0 ? "" : ",", i, IndentLines(body, "  "));
  }
  return out + "\n]";
}

struct SampleView {
  Labels labels;
  double value = 0;
  std::string histogram;  // In script notation.
};

std::string SamplesText(const std::vector<SampleView>& samples) {
  if (samples.empty()) return "nil";
  std::string out;
  for (const SampleView& sample : samples) {
    if (!out.empty()) out += ", ";
    out += sample.labels.ToString() + " ";
    out += sample.histogram.empty() ? FormatUpperE(sample.value) : sample.histogram;
  }
  return out;
}

bool SameValue(double a, double b, bool fuzzy) {
  if (a == b) return true;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return fuzzy && (std::nextafter(a, -kInfinity) == b || std::nextafter(a, kInfinity) == b);
}

bool SameSamples(const std::vector<SampleView>& a, const std::vector<SampleView>& b, bool fuzzy) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [fuzzy](const SampleView& x, const SampleView& y) {
                      return x.labels == y.labels && x.histogram == y.histogram &&
                             SameValue(x.value, y.value, fuzzy);
                    });
}

class Runner {
 public:
  Runner(const RuleTestGroup& group, const RuleTestOptions& options, const ToolContext& context)
      : group_(group),
        options_(options),
        context_(context),
        start_nanos_(group.start.ms * kNanosPerMilli),
        engine_({.samples_max = kSamplesMax,
                 .timeout_ns = 100 * kNanosPerSecond,
                 .delayed_name_removal = context.delayed_name_removal,
                 .parser = context.parser,
                 .default_subquery_step_ms = [&options](int64_t) {
                   return options.evaluation_interval_nanos / kNanosPerMilli;
                 }}) {}

  Errors Run();

 private:
  bool Prepare();
  Status LoadGroups(const std::string& file);
  void LoadRuleFileGroups(const std::string& file, const RuleGroups& groups);
  rules::RuleEnvironment MakeEnvironment();
  bool CheckAlertNames();
  // False when a rule failed, which ends the tests.
  bool EvaluateAt(int64_t time_nanos);
  void CheckAlerts(Duration eval_time);
  std::vector<AlertView> FiringAlerts(const std::string& name) const;
  void CheckExpression(const ExprTest& test);
  Result<std::vector<SampleView>> Query(const ExprTest& test);
  Result<std::vector<SampleView>> Expected(const ExprTest& test) const;
  void DumpEverything();

  const RuleTestGroup& group_;
  const RuleTestOptions& options_;
  const ToolContext& context_;
  const int64_t start_nanos_;
  promql::Engine engine_;
  std::unique_ptr<RuleTestStore> store_;
  std::shared_ptr<const rules::RuleEnvironment> environment_;
  std::vector<std::unique_ptr<rules::Group>> groups_;
  Errors errors_;
};

rules::RuleEnvironment Runner::MakeEnvironment() {
  rules::RuleEnvironment environment;
  environment.query = [this](const promql::Expr& expr, std::string_view query, int64_t time_ms,
                             const std::pair<std::string, std::string>&) {
    return engine_.Instant(store_->queryable(), expr, query, time_ms);
  };
  environment.appendable = store_.get();
  environment.queryable = &store_->queryable();
  environment.expand = [this](std::string_view name, std::string_view text,
                              const rules::TemplateData& data) {
    return ExpandAlertTemplate(engine_, store_->queryable(), name, text, data);
  };
  environment.send = [](const std::vector<rules::Alert>&, const std::string&) {};
  environment.external_url = group_.external_url;
  environment.external_labels = ToLabels(group_.external_labels);
  return environment;
}

void Runner::LoadRuleFileGroups(const std::string& file, const RuleGroups& loaded) {
  for (const RuleGroupConfig& config : loaded.groups) {
    rules::GroupOptions group;
    group.name = config.name;
    group.file = file;
    group.interval_nanos =
        config.interval.nanos > 0 ? config.interval.nanos : group_.interval.nanos;
    group.query_offset_nanos = config.query_offset ? config.query_offset->nanos : 0;
    group.limit = static_cast<size_t>(std::max<int64_t>(config.limit, 0));
    std::vector<std::unique_ptr<rules::Rule>> made;
    for (const RuleConfig& rule : config.rules) {
      LabelsBuilder labels;
      for (const auto& [name, value] : config.labels) labels.Set(name, value);
      for (const auto& [name, value] : rule.labels) labels.Set(name, value);
      Result<promql::ExprPtr> expr = promql::ParseExpr(rule.expr, context_.parser);
      if (!expr.ok()) {
        errors_.push_back(expr.status().message());
        continue;
      }
      if (rule.is_alert()) {
        rules::AlertingRuleOptions alert;
        alert.hold_nanos = rule.hold.nanos;
        alert.keep_firing_for_nanos = rule.keep_firing_for.nanos;
        alert.annotations = ToLabels(rule.annotations);
        made.push_back(std::make_unique<rules::AlertingRule>(rule.alert, *std::move(expr),
                                                             labels.Build(), std::move(alert)));
      } else {
        made.push_back(
            std::make_unique<rules::RecordingRule>(rule.record, *std::move(expr), labels.Build()));
      }
    }
    groups_.push_back(std::make_unique<rules::Group>(std::move(group), std::move(made),
                                                     environment_, Clock::System()));
  }
}

bool Runner::Prepare() {
  std::vector<std::string> lines;
  for (const InputSeries& series : group_.input_series) {
    lines.push_back(series.series + " " + series.values);
  }
  Result<std::unique_ptr<RuleTestStore>> store =
      RuleTestStore::Create(lines, group_.interval.nanos, group_.start.ms);
  if (!store.ok()) {
    errors_.push_back(store.status().message());
    return false;
  }
  store_ = *std::move(store);
  environment_ = std::make_shared<const rules::RuleEnvironment>(MakeEnvironment());
  RuleFileOptions file_options;
  file_options.ignore_unknown_fields = options_.ignore_unknown_fields;
  file_options.check_expression = [this](std::string_view expression) {
    return promql::ParseExpr(expression, context_.parser).status();
  };
  file_options.check_template = CheckAlertTemplate;
  for (const std::string& file : options_.rule_files) {
    const RuleFileResult loaded = LoadRuleFile(file, file_options);
    for (const Status& error : loaded.errors) errors_.push_back(error.message());
    if (!errors_.empty()) return false;
    LoadRuleFileGroups(file, loaded.groups);
  }
  // Groups that the order does not name count as the first one that it names.
  std::map<std::string, size_t> order;
  for (const std::string& name : options_.group_eval_order) order.emplace(name, order.size());
  const auto rank = [&order](const std::unique_ptr<rules::Group>& group) {
    const auto found = order.find(group->options().name);
    return found == order.end() ? size_t{0} : found->second;
  };
  std::stable_sort(groups_.begin(), groups_.end(),
                   [&rank](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return errors_.empty();
}

bool Runner::CheckAlertNames() {
  for (const AlertTest& test : group_.alert_tests) {
    if (!test.alertname.empty()) continue;
    errors_ = {fmt::format(
        "an item under alert_rule_test misses required attribute alertname at eval_time {}{}",
        test.eval_time.ToString(),
        group_.name.empty() ? "" : " (in TestGroup " + group_.name + ")")};
    return false;
  }
  return true;
}

bool Runner::EvaluateAt(int64_t time_nanos) {
  if (const Status loaded = store_->LoadUntil(time_nanos / kNanosPerMilli); !loaded.ok()) {
    errors_.push_back(loaded.message());
    return true;
  }
  bool good = true;
  for (const auto& group : groups_) {
    group->Evaluate(time_nanos);
    for (const auto& rule : group->rules()) {
      const rules::Rule::Health health = rule->health();
      if (health.error.empty()) continue;
      errors_.push_back(fmt::format("    rule: {}, time: {}, err: {}", rule->name(),
                                    FormatGoDuration(time_nanos), health.error));
      good = false;
    }
  }
  return good;
}

std::vector<AlertView> Runner::FiringAlerts(const std::string& name) const {
  std::vector<AlertView> alerts;
  for (const auto& group : groups_) {
    for (const auto& rule : group->rules()) {
      if (!rule->alerting() || rule->name() != name) continue;
      for (const rules::Alert& alert :
           static_cast<const rules::AlertingRule&>(*rule).ActiveAlerts()) {
        if (alert.state != rules::AlertState::kFiring) continue;
        alerts.push_back({alert.labels, alert.annotations});
      }
    }
  }
  std::sort(alerts.begin(), alerts.end());
  return alerts;
}

void Runner::CheckAlerts(Duration eval_time) {
  for (const AlertTest& test : group_.alert_tests) {
    if (test.eval_time != eval_time) continue;
    std::vector<AlertView> expected;
    for (const ExpectedAlert& alert : test.alerts) {
      LabelsBuilder labels(ToLabels(alert.labels));
      labels.Set("alertname", test.alertname);
      expected.push_back({labels.Build(), ToLabels(alert.annotations)});
    }
    std::sort(expected.begin(), expected.end());
    const std::vector<AlertView> got = FiringAlerts(test.alertname);
    if (got == expected) continue;
    const std::string head =
        (group_.name.empty() ? "" : "    name: " + group_.name + ",\n") +
        fmt::format("    alertname: {}, time: {}, \n", test.alertname, eval_time.ToString());
    if (options_.diff) {
      const auto objects = [](const std::vector<AlertView>& alerts) {
        std::vector<JsonDiffObject> list;
        for (const AlertView& alert : alerts) {
          JsonDiffObject& object = list.emplace_back();
          for (const LabelView& pair : alert.annotations) {
            object["Annotations"].emplace(pair.name, pair.value);
          }
          for (const LabelView& pair : alert.labels) {
            object["Labels"].emplace(pair.name, pair.value);
          }
          object["Annotations"];
          object["Labels"];
        }
        // No alerts are shown as one without anything.
        if (list.empty()) list.push_back({{"Annotations", {}}, {"Labels", {}}});
        return list;
      };
      errors_.push_back(head + "        diff: " +
                        IndentLines(DiffJson(objects(expected), objects(got)), "            "));
      continue;
    }
    constexpr std::string_view kIndent = "            ";
    errors_.push_back(head + "        exp:" + IndentLines(AlertsText(expected), kIndent) +
                      ", \n        got:" + IndentLines(AlertsText(got), kIndent));
  }
}

Result<std::vector<SampleView>> Runner::Query(const ExprTest& test) {
  const int64_t time_ms = (start_nanos_ + test.eval_time.nanos) / kNanosPerMilli;
  NARTHEX_TRY(const promql::QueryResult result,
              engine_.Instant(store_->queryable(), test.expr, time_ms));
  std::vector<SampleView> samples;
  if (result.type == promql::ValueType::kScalar) {
    samples.push_back({Labels(), result.scalar, ""});
  } else if (result.type == promql::ValueType::kVector) {
    for (const promql::InstantSample& sample : result.vector) {
      samples.push_back({sample.labels, sample.value,
                         sample.histogram ? ToTestExpression(*sample.histogram) : ""});
    }
  } else {
    return Status(ErrorCode::kExecution, "rule result is not a vector or scalar");
  }
  return samples;
}

Result<std::vector<SampleView>> Runner::Expected(const ExprTest& test) const {
  std::vector<SampleView> samples;
  for (const ExpectedSample& expected : test.samples) {
    const std::string prefix = "labels " + GoQuote(expected.labels) + ": ";
    Result<Labels> labels = promql::ParseMetric(expected.labels, context_.parser);
    if (!labels.ok()) return labels.status().WithPrefix(prefix);
    SampleView sample{*std::move(labels), expected.value, ""};
    if (!expected.histogram.empty()) {
      const Result<promql::SeriesDescription> description =
          promql::ParseSeriesDescription("{} " + expected.histogram, context_.parser);
      if (!description.ok()) return description.status().WithPrefix(prefix);
      const std::vector<promql::SequenceValue>& values = description->values;
      if (values.size() != 1) {
        return MakeError(ErrorCode::kInvalidInput, "{}expected 1 value, got {}", prefix,
                         values.size());
      }
      if (values.front().histogram == nullptr) {
        return MakeError(ErrorCode::kInvalidInput, "{}expected histogram, got {}", prefix,
                         values.front().omitted ? "_" : FormatFloatF(values.front().value));
      }
      sample.histogram = ToTestExpression(*values.front().histogram);
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

void Runner::CheckExpression(const ExprTest& test) {
  const std::string head =
      fmt::format("    expr: {}, time: {},", GoQuote(test.expr), test.eval_time.ToString());
  Result<std::vector<SampleView>> got = Query(test);
  if (!got.ok()) {
    errors_.push_back(head + " err: " + got.status().message());
    return;
  }
  Result<std::vector<SampleView>> expected = Expected(test);
  if (!expected.ok()) {
    errors_.push_back(head + " err: " + expected.status().message());
    return;
  }
  for (auto* samples : {&*got, &*expected}) {
    std::stable_sort(samples->begin(), samples->end(),
                     [](const SampleView& a, const SampleView& b) { return a.labels < b.labels; });
    // A histogram's value does not count.
    for (SampleView& sample : *samples) {
      if (!sample.histogram.empty()) sample.value = 0;
    }
  }
  if (SameSamples(*expected, *got, options_.fuzzy_compare)) return;
  errors_.push_back(head + "\n        exp: " + SamplesText(*expected) +
                    "\n        got: " + SamplesText(*got));
}

void Runner::DumpEverything() {
  // Whole seconds, since the query language has no fractions.
  const int64_t seconds = group_.LastEvalNanos() / kNanosPerSecond + 1;
  const std::string span = FormatGoDuration(seconds * kNanosPerSecond);
  const std::string query = "{__name__=~\".+\"}[" + span + "]";
  const Result<promql::QueryResult> result =
      engine_.Instant(store_->queryable(), query, (start_nanos_ / kNanosPerMilli) + seconds * 1000);
  if (!result.ok()) {
    PrintError(fmt::format("DEBUG: Failed query exec, expr: {}, err: {}\n", GoQuote(query),
                           result.status().message()));
    return;
  }
  std::string out = "DEBUG: Dump of all data (input_series and rules) at " + span + ":\n";
  for (const promql::RangeSeries& series : result->matrix) {
    out += series.labels.ToString() + " =>\n";
    for (size_t i = 0; i < series.samples.size(); ++i) {
      const FloatHistogram* histogram = series.samples.histogram(i);
      out += histogram != nullptr ? histogram->ToString() : FormatFloatF(series.samples.values[i]);
      out += fmt::format(" @[{}]\n", series.samples.timestamps_ms[i]);
    }
  }
  if (result->matrix.empty()) out += '\n';
  PrintError(out);
}

Errors Runner::Run() {
  if (!Prepare() || !CheckAlertNames()) return std::move(errors_);
  std::set<Duration> alert_times;
  for (const AlertTest& test : group_.alert_tests) alert_times.insert(test.eval_time);
  const int64_t interval = options_.evaluation_interval_nanos;
  const int64_t last = group_.LastEvalNanos();
  auto next_alerts = alert_times.begin();
  for (int64_t elapsed = 0;; elapsed += interval) {
    if (!EvaluateAt(start_nanos_ + elapsed)) return std::move(errors_);
    // Alerts asked for between two evaluations are those of the first one.
    while (next_alerts != alert_times.end() && elapsed <= next_alerts->nanos &&
           next_alerts->nanos - elapsed < interval) {
      CheckAlerts(*next_alerts++);
    }
    // Not a sum, which may not fit: tests ask about times 200 years away.
    if (last - elapsed < interval) break;
  }
  for (const ExprTest& test : group_.expr_tests) CheckExpression(test);
  if (options_.debug) DumpEverything();
  return std::move(errors_);
}

}  // namespace

std::vector<std::string> RunRuleTestGroup(const RuleTestGroup& group, const std::string& name,
                                          const RuleTestOptions& options,
                                          const ToolContext& context) {
  const int64_t started = MonotonicNanos();
  if (options.debug) PrintError("DEBUG: Starting test " + name + "\n");
  Errors errors = Runner(group, options, context).Run();
  if (options.debug) {
    PrintError("DEBUG: Test " + name + " finished, took " +
               FormatGoDuration(MonotonicNanos() - started) + "\n");
  }
  return errors;
}

}  // namespace narthex::apps
