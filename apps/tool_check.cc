// `check`: rules, web configurations, a running server.
#include "apps/tool_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "apps/alert_templates.h"
#include "apps/web_config_server.h"
#include "config/rule_file.h"
#include "config/url.h"
#include "model/labels.h"
#include "util/file.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

RuleFileOptions MakeRuleFileOptions(const RuleLint& lint, const ToolContext& context) {
  RuleFileOptions options;
  options.ignore_unknown_fields = lint.ignore_unknown_fields;
  options.check_expression = [&context](std::string_view expression) {
    return promql::ParseExpr(expression, context.parser).status();
  };
  options.check_template = CheckAlertTemplate;
  return options;
}

// Name and labels of a rule, by which duplicates are found.
using RuleIdentity = std::pair<std::string, Labels>;

std::vector<RuleIdentity> FindDuplicates(const RuleGroups& groups) {
  std::map<RuleIdentity, int> counts;
  for (const RuleGroupConfig& group : groups.groups) {
    for (const RuleConfig& rule : group.rules) {
      LabelsBuilder labels;
      for (const auto& [name, value] : group.labels) labels.Set(name, value);
      for (const auto& [name, value] : rule.labels) labels.Set(name, value);
      ++counts[{rule.name(), labels.Build()}];
    }
  }
  std::vector<RuleIdentity> duplicates;
  for (const auto& [identity, count] : counts) {
    if (count > 1) duplicates.push_back(identity);
  }
  return duplicates;
}

std::string DuplicatesText(const std::vector<RuleIdentity>& duplicates) {
  std::string text = fmt::format("lint error {} duplicate rule(s) found.\n", duplicates.size());
  for (const auto& [metric, labels] : duplicates) {
    text += "Metric: " + metric + "\nLabel(s):\n";
    for (const LabelView& label : labels)
      text += fmt::format("\t{}: {}\n", label.name, label.value);
  }
  return text + "Might cause inconsistency while recording expressions";
}

CheckOutcome ReportRules(const RuleFileResult& result, const RuleLint& lint) {
  if (!result.errors.empty()) {
    PrintError("  FAILED:\n");
    for (const Status& error : result.errors) PrintError(error.message() + "\n");
    return {.failed = true, .has_errors = true};
  }
  CheckOutcome outcome;
  const std::vector<RuleIdentity> duplicates =
      lint.duplicate_rules ? FindDuplicates(result.groups) : std::vector<RuleIdentity>();
  if (!duplicates.empty()) {
    PrintError("  FAILED:\n" + DuplicatesText(duplicates) + "\n");
    outcome.failed = true;
  } else {
    size_t count = 0;
    for (const RuleGroupConfig& group : result.groups.groups) count += group.rules.size();
    PrintOut(fmt::format("  SUCCESS: {} rules found\n", count));
  }
  PrintOut("\n");
  return outcome;
}

CheckOutcome CheckRulesOfStandardInput(const RuleLint& lint, const ToolContext& context) {
  PrintOut("Checking standard input\n");
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  RuleFileResult result = ParseRuleFile("", text, MakeRuleFileOptions(lint, context));
  return ReportRules(result, lint);
}

int CheckWebConfigs(const std::vector<std::string>& files) {
  int code = 0;
  for (const std::string& file : files) {
    const Status status = CheckWebConfig(file);
    if (status.ok()) {
      PrintError(file + " SUCCESS\n");
    } else {
      PrintError(file + " FAILED: " + status.message() + "\n");
      code = 1;
    }
  }
  return code;
}

int CheckServer(const std::string& server, std::string_view endpoint, const ToolContext& context) {
  Result<Url> url = Url::Parse(server);
  if (!url.ok()) return ReportError(url.status());
  if (url->scheme.empty()) url->scheme = "http";
  Url address = *url;
  while (address.path.ends_with('/')) address.path.pop_back();
  address.path += endpoint;
  net::HttpClient client;
  net::HttpClientRequest request;
  request.url = address.ToString();
  request.timeout_nanos = 10 * kNanosPerSecond;
  request.options = context.http;
  const net::HttpClientResponse response = client.FetchSync(std::move(request));
  if (!response.error.ok()) return ReportError(response.error);
  if (response.status != 200) {
    return ReportError(MakeError(ErrorCode::kUnavailable, "check failed: URL={}, status={}",
                                 url->ToString(), response.status));
  }
  PrintError("  SUCCESS:  " + response.body + "\n");
  return 0;
}

void AddServerCheck(Command& check, ToolContext& context, const std::string& name,
                    const std::string& state) {
  const auto url = std::make_shared<std::string>("http://localhost:9090");
  Command& command = check.AddCommand(name, "Check if the Prometheus server is " + state + ".");
  DeclareHttpConfigFlag(command, context);
  command.flags().Custom(
      "url", *url, "The URL for the Prometheus server.",
      [url](std::string_view text) {
        *url = text;
        return Url::Parse(text).status().WithPrefix("invalid URL: ");
      },
      [url] { return *url; });
  command.OnRun(
      [&context, url, endpoint = "/-/" + name] { return CheckServer(*url, endpoint, context); });
}

void AddRulesCheck(Command& check, ToolContext& context) {
  struct Options {
    std::vector<std::string> files;
    std::string lint = "duplicate-rules";
    bool fatal = false;
    bool ignore_unknown_fields = false;
  };
  const auto options = std::make_shared<Options>();
  Command& command = check.AddCommand("rules", "Check if the rule files are valid or not.");
  command.FileArguments("rule-files", &options->files, Presence::kOptional,
                        "The rule files to check, default is read from standard input.");
  command.flags().String("lint", &options->lint,
                         "Linting checks to apply. Available options are: all, duplicate-rules, "
                         "none. Use --lint=none to disable linting");
  command.flags().Bool("lint-fatal", &options->fatal, "Make lint errors exit with exit code 3.");
  command.flags().Bool("ignore-unknown-fields", &options->ignore_unknown_fields,
                       "Ignore unknown fields in the rule files. This is useful when you want to "
                       "extend rule files with custom metadata. Ensure that those fields are "
                       "removed before loading them into the Prometheus server as it performs "
                       "strict checks by default.");
  command.OnRun([&context, options] {
    const RuleLint lint =
        RuleLint::Parse(options->lint, options->fatal, options->ignore_unknown_fields);
    const CheckOutcome outcome = options->files.empty()
                                     ? CheckRulesOfStandardInput(lint, context)
                                     : CheckRuleFiles(options->files, lint, context);
    return outcome.ExitCode(lint.fatal);
  });
}

void AddConfigCheck(Command& check, ToolContext& context, std::shared_ptr<int64_t> lookback) {
  const auto options = std::make_shared<CheckConfigOptions>();
  Command& command = check.AddCommand("config", "Check if the config files are valid or not.");
  command.FileArguments("config-files", &options->files, Presence::kRequired,
                        "The config files to check.");
  command.flags().Bool("syntax-only", &options->syntax_only,
                       "Only check the config file syntax, ignoring file and content validation "
                       "referenced in the config");
  command.flags().String("lint", &options->lint,
                         "Linting checks to apply to the rules/scrape configs specified in the "
                         "config. Available options are: all, duplicate-rules, none, "
                         "too-long-scrape-interval. Use --lint=none to disable linting");
  command.flags().Bool("lint-fatal", &options->lint_fatal,
                       "Make lint errors exit with exit code 3.");
  command.flags().Bool("ignore-unknown-fields", &options->ignore_unknown_fields,
                       "Ignore unknown fields in the rule groups read by the config files. This is "
                       "useful when you want to extend rule files with custom metadata. Ensure "
                       "that those fields are removed before loading them into the Prometheus "
                       "server as it performs strict checks by default.");
  command.flags().Bool("agent", &options->agent, "Check config file for Prometheus in Agent mode.");
  command.OnRun([&context, options, lookback] {
    options->lookback_nanos = *lookback;
    return CheckConfigFiles(*options, context);
  });
}

void AddMetricsCheck(Command& check) {
  struct Options {
    bool extended = false;
    std::string lint = "all";
  };
  const auto options = std::make_shared<Options>();
  Command& command = check.AddCommand(
      "metrics",
      "Pass Prometheus metrics over stdin to lint them for consistency and correctness, and "
      "optionally perform cardinality analysis.\n\n"
      "examples:\n\n"
      "$ cat metrics.prom | promtool check metrics\n\n"
      "$ curl -s http://localhost:9090/metrics | promtool check metrics --extended\n\n"
      "$ curl -s http://localhost:9100/metrics | promtool check metrics --extended --lint=none");
  command.flags().Bool("extended", &options->extended,
                       "Print extended information related to the cardinality of the metrics.");
  command.flags().String("lint", &options->lint,
                         "Linting checks to apply for metrics. Available options are: all, none. "
                         "Use --lint=none to disable metrics linting.");
  command.OnRun([options] { return CheckMetrics(options->extended, options->lint); });
}

}  // namespace

RuleLint RuleLint::Parse(std::string_view options, bool fatal, bool ignore_unknown_fields) {
  RuleLint lint;
  lint.fatal = fatal;
  lint.ignore_unknown_fields = ignore_unknown_fields;
  if (options.empty()) return lint;
  for (const std::string_view option : Split(options, ',')) {
    if (option == "all" || option == "duplicate-rules") {
      lint.duplicate_rules = true;
    } else if (option != "none") {
      PrintOut("WARNING: unknown lint option: " + GoQuote(option) + "\n");
    }
  }
  return lint;
}

int CheckOutcome::ExitCode(bool lint_fatal) const {
  if (!failed) return 0;
  if (has_errors) return 1;
  return lint_fatal ? kLintExitCode : 0;
}

CheckOutcome CheckRuleFiles(const std::vector<std::string>& files, const RuleLint& lint,
                            const ToolContext& context) {
  CheckOutcome outcome;
  const RuleFileOptions options = MakeRuleFileOptions(lint, context);
  for (const std::string& file : files) {
    PrintOut("Checking " + file + "\n");
    outcome.Add(ReportRules(LoadRuleFile(file, options), lint));
  }
  return outcome;
}

void AddCheckCommands(Command& root, ToolContext& context) {
  Command& check = root.AddCommand("check", "Check the resources for validity.");
  const auto lookback = std::make_shared<int64_t>(300 * kNanosPerSecond);
  check.flags()
      .GoDuration("query.lookback-delta", lookback.get(),
                  "The server's maximum query lookback duration.")
      .Placeholder("5m");

  struct DiscoveryOptions {
    std::string file;
    std::string job;
    int64_t timeout_nanos = 30 * kNanosPerSecond;
  };
  const auto discovery = std::make_shared<DiscoveryOptions>();
  Command& service_discovery =
      check.AddCommand("service-discovery",
                       "Perform service discovery for the given job name and report the results, "
                       "including relabeling.");
  service_discovery.FileArgument("config-file", &discovery->file, Presence::kRequired,
                                 "The prometheus config file.");
  service_discovery.TextArgument("job", &discovery->job, Presence::kRequired,
                                 "The job to run service discovery for.");
  service_discovery.flags().GoDuration("timeout", &discovery->timeout_nanos,
                                       "The time to wait for discovery results.");
  service_discovery.OnRun([discovery, lookback] {
    return CheckServiceDiscovery(discovery->file, discovery->job, discovery->timeout_nanos);
  });

  AddConfigCheck(check, context, lookback);

  const auto web_files = std::make_shared<std::vector<std::string>>();
  Command& web_config =
      check.AddCommand("web-config", "Check if the web config files are valid or not.");
  web_config.FileArguments("web-config-files", web_files.get(), Presence::kRequired,
                           "The config files to check.");
  web_config.OnRun([web_files] { return CheckWebConfigs(*web_files); });

  AddServerCheck(check, context, "healthy", "healthy");
  AddServerCheck(check, context, "ready", "ready");
  AddRulesCheck(check, context);
  AddMetricsCheck(check);
}

}  // namespace narthex::apps
