#include "config/config.h"

#include <unistd.h>

#include <cstdlib>
#include <set>

#include "config/config_schema.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

// ---- Environment variables ----------------------------------------------------------------------

bool IsSpecialVariable(char c) {
  return std::string_view("*#$@!?-0123456789").find(c) != std::string_view::npos;
}
bool IsVariableByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The variable that `text`, which stands behind a dollar, starts with, and how much of the text it
// takes. An empty name with a size is bad syntax, which vanishes; without one the dollar stays.
std::string_view TakeVariable(std::string_view text, size_t* size) {
  if (text.front() == '{') {
    if (text.size() > 2 && IsSpecialVariable(text[1]) && text[2] == '}') {
      *size = 3;
      return text.substr(1, 1);
    }
    const size_t close = text.find('}');
    if (close == std::string_view::npos) {
      *size = 1;
      return {};
    }
    *size = close + 1;
    return text.substr(1, close - 1);
  }
  if (IsSpecialVariable(text.front())) {
    *size = 1;
    return text.substr(0, 1);
  }
  size_t end = 0;
  while (end < text.size() && IsVariableByte(text[end])) ++end;
  *size = end;
  return text.substr(0, end);
}

// os.Expand, with `$$` for a dollar. A variable that is empty or missing is nothing, and a warning.
std::string ExpandVariables(std::string_view text, const ConfigLoadOptions& options) {
  std::string out;
  while (true) {
    const size_t dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return out;
    text.remove_prefix(dollar + 1);
    if (text.empty()) return out + "$";
    size_t size = 0;
    const std::string name(TakeVariable(text, &size));
    text.remove_prefix(size);
    if (name.empty()) {
      if (size == 0) out += '$';
      continue;
    }
    if (name == "$") {
      out += '$';
      continue;
    }
    std::string value;
    if (options.environment) {
      value = options.environment(name);
    } else if (const char* found = std::getenv(name.c_str())) {
      value = found;
    }
    if (value.empty()) LOG_WARN("Empty environment variable", {"name", name});
    out += value;
  }
}

// ---- The whole ----------------------------------------------------------------------------------

// A star only in the last part of the path.
bool IsRulePath(std::string_view path) {
  const size_t star = path.find('*');
  return star == std::string_view::npos ||
         path.substr(star).find_first_of("*/", 1) == std::string_view::npos;
}

Status CheckPaths(const Config& config) {
  for (const std::string& path : config.rule_files) {
    if (!IsRulePath(path)) return Invalid("invalid rule file path " + GoQuote(path));
  }
  for (const std::string& path : config.scrape_config_files) {
    if (!IsRulePath(path)) return Invalid("invalid scrape config file path " + GoQuote(path));
  }
  return {};
}

// Brings back defaults where a section was written but empty, or not written at all.
void RestoreDefaults(Config& config, const ConfigDefaults& defaults) {
  GlobalConfig& global = config.global;
  if (IsZeroStruct(FieldsOf<GlobalConfig>(), &global)) global = GlobalConfig{};
  if (!global.scrape_native_histograms) global.scrape_native_histograms = false;
  if (!global.extra_scrape_metrics) global.extra_scrape_metrics = defaults.extra_scrape_metrics;
  if (global.scrape_protocols.empty() && defaults.prefer_protobuf) {
    for (const std::string_view protocol :
         {kPrometheusProto, kOpenMetricsText100, kOpenMetricsText001, kPrometheusText100,
          kPrometheusText004}) {
      global.scrape_protocols.emplace_back(protocol);
    }
  }
  if (IsZeroStruct(FieldsOf<RuntimeConfig>(), &config.runtime)) {
    config.runtime = RuntimeConfig{.log_level = defaults.log_level};
  }
  if (!config.storage.tsdb) config.storage.tsdb.emplace();
  if (!config.storage.tsdb->retention) config.storage.tsdb->retention = defaults.retention;
}

// Names must differ, but those that are empty are given later.
template <typename Endpoint>
Status CheckEndpoints(const std::vector<Endpoint>& endpoints, std::string_view what) {
  std::set<std::string> names;
  for (const Endpoint& endpoint : endpoints) {
    if (!endpoint.url) return Invalid(fmt::format("empty or null {} config section", what));
    if (!endpoint.name.empty() && !names.insert(endpoint.name).second) {
      return Invalid(
          fmt::format("found multiple {} configs with job name {}", what, GoQuote(endpoint.name)));
    }
  }
  return {};
}

Status CompleteAlerting(AlertingConfig& alerting, NameValidation scheme) {
  NARTHEX_RETURN_IF_ERROR(ValidateRules(alerting.alert_relabel_configs, scheme));
  for (AlertmanagerConfig& alertmanager : alerting.alertmanagers) {
    NARTHEX_RETURN_IF_ERROR(ValidateRules(alertmanager.alert_relabel_configs, scheme));
    NARTHEX_RETURN_IF_ERROR(ValidateRules(alertmanager.relabel_configs, scheme));
  }
  return {};
}

Status CheckTranslation(const Config& config) {
  const std::string& strategy = config.otlp.translation_strategy;
  if (strategy.empty() || strategy == "UnderscoreEscapingWithSuffixes" ||
      strategy == "UnderscoreEscapingWithoutSuffixes") {
    return {};
  }
  if (strategy != "NoTranslation" && strategy != "NoUTF8EscapingWithSuffixes") {
    return Invalid("unsupported OTLP translation strategy " + GoQuote(strategy));
  }
  if (config.global.metric_name_validation_scheme == NameValidation::kLegacy) {
    return Invalid(fmt::format("OTLP translation strategy {} is not allowed when UTF8 is disabled",
                               GoQuote(strategy)));
  }
  return {};
}

// What concerns several sections at once.
Status Complete(Config& config, const ConfigLoadOptions& options) {
  RestoreDefaults(config, options.defaults);
  NARTHEX_RETURN_IF_ERROR(CheckPaths(config));
  std::set<std::string> jobs;
  for (ScrapeConfig& job : config.scrape_configs) {
    NARTHEX_RETURN_IF_ERROR(CompleteScrapeConfig(job, config.global));
    if (!jobs.insert(job.job_name).second) {
      return Invalid("found multiple scrape configs with job name " + GoQuote(job.job_name));
    }
  }
  const NameValidation scheme = config.global.metric_name_validation_scheme;
  NARTHEX_RETURN_IF_ERROR(CompleteAlerting(config.alerting, scheme));
  NARTHEX_RETURN_IF_ERROR(CheckEndpoints(config.remote_write, "remote write"));
  for (RemoteWriteConfig& endpoint : config.remote_write) {
    NARTHEX_RETURN_IF_ERROR(ValidateRules(endpoint.write_relabel_configs, scheme));
  }
  NARTHEX_RETURN_IF_ERROR(CheckEndpoints(config.remote_read, "remote read"));
  for (auto& [name, value] : config.global.external_labels) {
    value = ExpandVariables(value, options);
  }
  return CheckTranslation(config);
}

// The percentage that upstream's runtime would take from GOGC.
int64_t DefaultGoGc(const ConfigLoadOptions& options) {
  std::string text;
  if (options.environment) {
    text = options.environment("GOGC");
  } else if (const char* found = std::getenv("GOGC")) {
    text = found;
  }
  if (ToLower(text) == "off") return -1;
  return ParseInt(text).value_or(RuntimeConfig{}.gogc);
}

// For messages that name a file in full.
std::string QuotedAbsolutePath(const std::string& path) {
  if (path.starts_with('/')) return GoQuote(JoinDirectory("", path));
  char* current = ::getcwd(nullptr, 0);
  const std::string directory = current == nullptr ? "" : current;
  ::free(current);
  return GoQuote(JoinDirectory(directory, path));
}

Result<std::vector<ScrapeConfig>> ReadScrapeConfigFile(const std::string& path,
                                                       const GlobalConfig& global,
                                                       FileSystem& files) {
  NARTHEX_TRY(const std::string text, files.ReadAll(path));
  ScrapeConfigFile file;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(text, {}, file));
  for (ScrapeConfig& job : file.scrape_configs) {
    NARTHEX_RETURN_IF_ERROR(CompleteScrapeConfig(job, global));
  }
  return std::move(file.scrape_configs);
}

}  // namespace

Labels GlobalConfig::external_label_set() const {
  return Labels::FromPairs({external_labels.begin(), external_labels.end()});
}

Result<Config> ParseConfig(std::string_view yaml, const ConfigLoadOptions& options) {
  Config config;
  config.runtime.gogc = DefaultGoGc(options);
  config.runtime.log_level = options.defaults.log_level;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, config));
  NARTHEX_RETURN_IF_ERROR(Complete(config, options));
  return config;
}

Result<Config> LoadConfigFile(const std::string& path, const ConfigLoadOptions& options) {
  NARTHEX_TRY(const std::string text, options.files->ReadAll(path));
  Result<Config> config = ParseConfig(text, options);
  if (!config.ok()) {
    return config.status().WithPrefix(fmt::format("parsing YAML file {}: ", path));
  }
  if (options.agent_mode) {
    const auto refuse = [](std::string_view field) {
      return Invalid(fmt::format("field {} is not allowed in agent mode", field));
    };
    if (!config->alerting.alertmanagers.empty() ||
        !config->alerting.alert_relabel_configs.empty()) {
      return refuse("alerting");
    }
    if (!config->rule_files.empty()) return refuse("rule_files");
    if (!config->remote_read.empty()) return refuse("remote_read");
  }
  SetDirectory(*config, DirName(path));
  return config;
}

Result<std::vector<ScrapeConfig>> ResolveScrapeConfigs(const Config& config, FileSystem& files) {
  std::vector<ScrapeConfig> all = config.scrape_configs;
  std::map<std::string, std::string> first_seen;
  for (const ScrapeConfig& job : all) first_seen[job.job_name] = "main config file";
  for (const std::string& pattern : config.scrape_config_files) {
    Result<std::vector<std::string>> paths = GlobFiles(pattern, files);
    if (!paths.ok()) {
      return paths.status().WithPrefix(
          fmt::format("error retrieving scrape config files for {}: ", GoQuote(pattern)));
    }
    for (const std::string& path : *paths) {
      const std::string quoted = QuotedAbsolutePath(path);
      Result<std::vector<ScrapeConfig>> jobs = ReadScrapeConfigFile(path, config.global, files);
      if (!jobs.ok()) return jobs.status().WithPrefix(quoted + ": ");
      for (ScrapeConfig& job : *jobs) {
        const auto [entry, is_new] = first_seen.try_emplace(job.job_name, quoted);
        if (!is_new) {
          return Invalid(
              fmt::format("{}: found multiple scrape configs with job name {}, first found in {}",
                          quoted, GoQuote(job.job_name), entry->second));
        }
        SetStructDirectory(FieldsOf<ScrapeConfig>(), &job, DirName(path));
        all.push_back(std::move(job));
      }
    }
  }
  return all;
}

void SetDirectory(Config& config, std::string_view directory) {
  SetStructDirectory(FieldsOf<Config>(), &config, directory);
}

std::string PrintConfig(const Config& config) {
  return PrintYaml(config);
}
std::string PrintScrapeConfig(const ScrapeConfig& config) {
  return PrintYaml(config);
}
std::string PrintRemoteWriteConfig(const RemoteWriteConfig& config) {
  return PrintYaml(config);
}
std::string PrintRemoteReadConfig(const RemoteReadConfig& config) {
  return PrintYaml(config);
}

std::string Fingerprint(const ScrapeConfig& config) {
  return PrintYaml(config, SecretPrint::kReveal);
}
std::string Fingerprint(const AlertmanagerConfig& config) {
  return PrintYaml(config, SecretPrint::kReveal);
}
std::string Fingerprint(const RemoteWriteConfig& config) {
  return PrintYaml(config, SecretPrint::kReveal);
}
std::string Fingerprint(const RemoteReadConfig& config) {
  return PrintYaml(config, SecretPrint::kReveal);
}
std::string Fingerprint(const TracingConfig& config) {
  return PrintYaml(config, SecretPrint::kReveal);
}

std::vector<std::string> InactiveSections(const Config& config,
                                          const std::vector<std::string>& supported_mechanisms) {
  std::vector<std::string> sections;
  const auto add_if = [&](bool used, std::string_view name) {
    if (used) sections.emplace_back(name);
  };
  add_if(!config.remote_write.empty(), "remote_write");
  add_if(!config.remote_read.empty(), "remote_read");
  add_if(PrintYaml(config.otlp) != PrintYaml(OtlpConfig{}), "otlp");
  const auto add_mechanisms = [&](const std::vector<SdConfig>& entries, std::string_view where) {
    std::set<std::string_view> seen;
    for (const SdConfig& entry : entries) {
      const std::string_view name = entry.mechanism();
      const bool supported = std::find(supported_mechanisms.begin(), supported_mechanisms.end(),
                                       name) != supported_mechanisms.end();
      if (supported || !seen.insert(name).second) continue;
      sections.push_back(fmt::format("{} ({})", FindSdMechanism(name)->key, where));
    }
  };
  for (const ScrapeConfig& job : config.scrape_configs) {
    add_mechanisms(job.service_discovery, "job " + GoQuote(job.job_name));
  }
  for (size_t i = 0; i < config.alerting.alertmanagers.size(); ++i) {
    add_mechanisms(config.alerting.alertmanagers[i].service_discovery,
                   fmt::format("alertmanagers[{}]", i));
  }
  return sections;
}

}  // namespace narthex
