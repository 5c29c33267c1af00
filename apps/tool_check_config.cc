// `check config`: the file itself and whatever it names.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "apps/tool_check.h"
#include "config/config.h"
#include "config/sd_mechanisms.h"
#include "discovery/target_group.h"
#include "model/relabel.h"
#include "scrape/target.h"
#include "util/file.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

Status CheckFileExists(const std::string& path) {
  struct stat info = {};
  if (path.empty() || ::stat(path.c_str(), &info) == 0) return {};
  return MakeError(ErrorCode::kNotFound, "stat {}: {}", path, ErrnoText(errno));
}

Status CheckTlsFiles(const TlsConfig& tls, bool syntax_only) {
  if (!tls.cert_file.empty() && tls.key_file.empty()) {
    return MakeError(ErrorCode::kInvalidInput,
                     "client cert file {} specified without client key file",
                     GoQuote(tls.cert_file));
  }
  if (!tls.key_file.empty() && tls.cert_file.empty()) {
    return MakeError(ErrorCode::kInvalidInput,
                     "client key file {} specified without client cert file",
                     GoQuote(tls.key_file));
  }
  if (syntax_only) return {};
  NARTHEX_RETURN_IF_ERROR(
      CheckFileExists(tls.cert_file)
          .WithPrefix("error checking client cert file " + GoQuote(tls.cert_file) + ": "));
  return CheckFileExists(tls.key_file)
      .WithPrefix("error checking client key file " + GoQuote(tls.key_file) + ": ");
}

Result<std::vector<TargetGroup>> ReadTargetFile(const std::string& path) {
  NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(path));
  const std::string name = BaseName(path);
  const size_t dot = name.rfind('.');
  const std::string extension = dot == std::string::npos ? "" : name.substr(dot);
  const std::string lower = ToLower(extension);
  if (lower == ".json") return ParseTargetGroupsJson(text);
  if (lower == ".yml" || lower == ".yaml") return ParseTargetGroupsYaml(text);
  return MakeError(ErrorCode::kInvalidInput, "invalid file extension: {}", GoQuote(extension));
}

std::vector<TargetGroup> ToTargetGroups(const StaticSdConfig& config) {
  std::vector<TargetGroup> groups;
  for (const StaticGroup& from : config.groups) {
    TargetGroup& group = groups.emplace_back();
    group.source = std::to_string(groups.size() - 1);
    group.labels = from.labels;
    for (const std::string& target : from.targets) group.targets.push_back(AddressOnly(target));
  }
  return groups;
}

using CheckGroups = std::function<Status(std::vector<TargetGroup> groups)>;

Status CheckScrapeTargets(const std::shared_ptr<const ScrapeConfig>& config,
                          std::vector<TargetGroup> groups) {
  for (TargetGroup& group : groups) {
    scrape::TargetsOfGroup targets;
    scrape::AppendTargets(config, std::make_shared<const TargetGroup>(std::move(group)), &targets);
    if (!targets.failures.empty()) return targets.failures.front();
  }
  return {};
}

Status CheckAlertmanagerTargets(const AlertmanagerConfig& config,
                                const std::vector<TargetGroup>& groups) {
  for (const TargetGroup& group : groups) {
    for (const TargetLabels& target : group.targets) {
      LabelsBuilder builder;
      for (const auto& [name, value] : target) builder.Set(name, value);
      builder.Set(scrape::kSchemeLabel, config.scheme);
      for (const auto& [name, value] : group.labels) {
        if (builder.Get(name).empty()) builder.Set(name, value);
      }
      if (!Relabel(builder, config.relabel_configs)) continue;
      const std::string address(builder.Get(kAddressLabel));
      if (address.find('/') != std::string::npos) {
        return MakeError(ErrorCode::kInvalidInput, "{} is not a valid hostname", GoQuote(address));
      }
    }
  }
  return {};
}

// The groups of files and of the configuration itself; `where` names the section in warnings.
Status CheckDiscovery(const SdConfig& entry, bool syntax_only, std::string_view where,
                      const CheckGroups& check) {
  if (const StaticSdConfig* groups = entry.As<StaticSdConfig>()) {
    return check(ToTargetGroups(*groups));
  }
  const FileSdConfig* files = entry.As<FileSdConfig>();
  if (files == nullptr || syntax_only) return {};
  for (const std::string& pattern : files->files) {
    NARTHEX_TRY(const std::vector<std::string> paths, GlobFiles(pattern));
    for (const std::string& path : paths) {
      Result<std::vector<TargetGroup>> groups = ReadTargetFile(path);
      if (!groups.ok()) {
        return groups.status().WithPrefix("checking SD file " + GoQuote(pattern) + ": ");
      }
      NARTHEX_RETURN_IF_ERROR(check(*std::move(groups)));
    }
    if (paths.empty()) {
      PrintOut(fmt::format("  WARNING: file {} for file_sd in {} does not exist\n",
                           GoQuote(pattern), where));
    }
  }
  return {};
}

Status CheckScrapeConfig(const ScrapeConfig& job, bool syntax_only) {
  if (!syntax_only && job.http_client.authorization) {
    const std::string& file = job.http_client.authorization->credentials_file;
    NARTHEX_RETURN_IF_ERROR(CheckFileExists(file).WithPrefix(
        "error checking authorization credentials or bearer token file " + GoQuote(file) + ": "));
  }
  NARTHEX_RETURN_IF_ERROR(CheckTlsFiles(job.http_client.tls_config, syntax_only));
  const auto shared = std::make_shared<const ScrapeConfig>(job);
  for (const SdConfig& entry : job.service_discovery) {
    if (const auto* kubernetes = entry.As<KubernetesSdConfig>()) {
      NARTHEX_RETURN_IF_ERROR(CheckTlsFiles(kubernetes->http_client.tls_config, syntax_only));
    }
    NARTHEX_RETURN_IF_ERROR(CheckDiscovery(entry, syntax_only,
                                           "scrape job " + GoQuote(job.job_name),
                                           [&](std::vector<TargetGroup> groups) {
                                             return CheckScrapeTargets(shared, std::move(groups));
                                           }));
  }
  return {};
}

struct CheckedConfig {
  std::vector<std::string> rule_files;
  std::vector<ScrapeConfig> jobs;
};

Result<std::vector<std::string>> FindRuleFiles(const Config& config) {
  std::vector<std::string> files;
  for (const std::string& pattern : config.rule_files) {
    NARTHEX_TRY(const std::vector<std::string> matches, GlobFiles(pattern));
    if (pattern.find('*') == std::string::npos) {
      if (matches.empty()) {
        return MakeError(ErrorCode::kNotFound, "{} does not point to an existing file",
                         GoQuote(pattern));
      }
      NARTHEX_RETURN_IF_ERROR(
          CheckFileExists(matches.front())
              .WithPrefix("error checking rule file " + GoQuote(matches.front()) + ": "));
    }
    files.insert(files.end(), matches.begin(), matches.end());
  }
  return files;
}

Status CheckConfigFile(const std::string& path, const CheckConfigOptions& options,
                       CheckedConfig* checked) {
  PrintOut("Checking " + path + "\n");
  ConfigLoadOptions load;
  load.agent_mode = options.agent;
  NARTHEX_TRY(const Config config, LoadConfigFile(path, load));
  CheckedConfig found;
  if (options.syntax_only) {
    found.jobs = config.scrape_configs;
  } else {
    NARTHEX_TRY(found.rule_files, FindRuleFiles(config));
    Result<std::vector<ScrapeConfig>> jobs = ResolveScrapeConfigs(config);
    if (!jobs.ok()) return jobs.status().WithPrefix("error loading scrape configs: ");
    found.jobs = *std::move(jobs);
  }
  for (const ScrapeConfig& job : found.jobs) {
    NARTHEX_RETURN_IF_ERROR(CheckScrapeConfig(job, options.syntax_only));
  }
  for (const AlertmanagerConfig& alertmanager : config.alerting.alertmanagers) {
    for (const SdConfig& entry : alertmanager.service_discovery) {
      NARTHEX_RETURN_IF_ERROR(CheckDiscovery(entry, options.syntax_only, "alertmanager config",
                                             [&](const std::vector<TargetGroup>& groups) {
                                               return CheckAlertmanagerTargets(alertmanager,
                                                                               groups);
                                             }));
    }
  }
  *checked = std::move(found);
  return {};
}

// --lint of `check config`: what concerns rules, and whether scrape intervals are looked at.
struct ConfigLint {
  RuleLint rules;
  bool scrape_intervals = false;
};

ConfigLint ParseConfigLint(const CheckConfigOptions& options) {
  ConfigLint lint;
  bool none = false;
  std::vector<std::string> of_rules;
  for (const std::string_view option : Split(options.lint, ',')) {
    if (option == "all" || option == "too-long-scrape-interval") lint.scrape_intervals = true;
    if (option == "none") {
      none = true;
    } else if (option != "too-long-scrape-interval") {
      of_rules.emplace_back(option);
    }
  }
  if (none) {
    lint.scrape_intervals = false;
    of_rules.clear();
  }
  lint.rules =
      RuleLint::Parse(Join(of_rules, ","), options.lint_fatal, options.ignore_unknown_fields);
  return lint;
}

}  // namespace

int CheckConfigFiles(const CheckConfigOptions& options, const ToolContext& context) {
  const ConfigLint lint = ParseConfigLint(options);
  CheckOutcome outcome;
  for (const std::string& file : options.files) {
    CheckedConfig checked;
    const Status status = CheckConfigFile(file, options, &checked);
    if (status.ok()) {
      if (!checked.rule_files.empty()) {
        PrintOut(fmt::format("  SUCCESS: {} rule files found\n", checked.rule_files.size()));
      }
      PrintOut(" SUCCESS: " + file + " is valid prometheus config file syntax\n");
    } else {
      PrintError("  FAILED: " + status.message() + "\n");
      outcome.Add({.failed = true, .has_errors = true});
    }
    PrintOut("\n");
    if (options.syntax_only) continue;
    for (const ScrapeConfig& job : checked.jobs) {
      if (!lint.scrape_intervals || options.lookback_nanos <= 0 ||
          job.scrape_interval.nanos < options.lookback_nanos) {
        continue;
      }
      PrintError(
          fmt::format("  FAILED: too long scrape interval found, data point will be marked "
                      "as stale - job: {}, interval: {}\n",
                      job.job_name, job.scrape_interval.ToString()));
      outcome.failed = true;
      break;
    }
    outcome.Add(CheckRuleFiles(checked.rule_files, lint.rules, context));
  }
  return outcome.ExitCode(options.lint_fatal);
}

}  // namespace narthex::apps
