// `check service-discovery`: what a job would find, before and after relabelling.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "apps/http_adapters.h"
#include "apps/tool_check.h"
#include "config/config.h"
#include "discovery/discoverer.h"
#include "discovery/dns/resolver.h"
#include "discovery/mechanisms/mechanisms.h"
#include "scrape/target.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

struct FoundTarget {
  Labels discovered;
  Labels labels;
  bool failed = false;
  friend bool operator==(const FoundTarget&, const FoundTarget&) = default;
};

// Everything that was ever told of a source.
using FoundGroups = std::map<std::string, std::vector<TargetGroupPtr>>;

std::vector<FoundTarget> TargetsOfSource(const ScrapeConfig& job,
                                         const std::vector<TargetGroupPtr>& groups) {
  std::vector<FoundTarget> found;
  for (const TargetGroupPtr& group : groups) {
    for (const TargetLabels& target : group->targets) {
      FoundTarget entry;
      entry.discovered = scrape::DiscoveredLabels(job, target, group->labels);
      Result<Labels> labels = scrape::PopulateTargetLabels(job, target, group->labels);
      entry.failed = !labels.ok();
      if (labels.ok()) entry.labels = *std::move(labels);
      if (std::find(found.begin(), found.end(), entry) == found.end()) {
        found.push_back(std::move(entry));
      }
    }
  }
  return found;
}

std::string LabelsJson(const Labels& labels) {
  std::string out = "{";
  for (const LabelView& label : labels) {
    out += out.size() > 1 ? ",\n      " : "\n      ";
    AppendJsonString(label.name, JsonEscape::kGo, &out);
    out += ": ";
    AppendJsonString(label.value, JsonEscape::kGo, &out);
  }
  return out + (out.size() > 1 ? "\n    }" : "}");
}

std::string TargetsJson(const std::vector<FoundTarget>& targets) {
  std::string out = "[";
  for (const FoundTarget& target : targets) {
    out += out.size() > 1 ? ",\n  {" : "\n  {";
    out += "\n    \"discoveredLabels\": " + LabelsJson(target.discovered);
    out += ",\n    \"labels\": " + LabelsJson(target.labels);
    // Upstream's errors have no members that JSON shows.
    if (target.failed) out += ",\n    \"error\": {}";
    out += "\n  }";
  }
  return out + (out.size() > 1 ? "\n]" : "]");
}

// Runs the job's mechanisms for `timeout_nanos`.
Result<FoundGroups> Discover(const ScrapeConfig& job, int64_t timeout_nanos) {
  DiscoveryRegistry registry;
  RegisterBuiltinMechanisms(registry);
  net::HttpClient http;
  DiscoveryFetcher fetcher(http);
  SdMetrics metrics;
  Result<std::unique_ptr<DnsResolver>> dns = MakeDnsResolver({});
  ThreadTaskLoop loop("discovery");
  DiscoveryEnvironment environment;
  environment.loop = &loop;
  environment.http = &fetcher;
  environment.dns = dns.ok() ? dns->get() : nullptr;
  environment.metrics = &metrics;
  environment.user_agent = fmt::format("promtool/{}", kReferenceVersion);

  FoundGroups found;
  std::mutex mutex;
  std::vector<std::unique_ptr<Discoverer>> discoverers;
  for (const SdConfig& entry : job.service_discovery) {
    Result<std::unique_ptr<Discoverer>> discoverer =
        registry.Create(entry, job.job_name, environment);
    if (!discoverer.ok()) {
      return discoverer.status().WithPrefix("Could not create new discoverer ");
    }
    discoverers.push_back(*std::move(discoverer));
  }
  const auto sink = [&](const std::vector<TargetGroupPtr>& groups) {
    const std::lock_guard lock(mutex);
    for (const TargetGroupPtr& group : groups) found[group->source].push_back(group);
  };
  loop.RunAndWait([&] {
    for (const auto& discoverer : discoverers) discoverer->Start(sink);
  });
  std::this_thread::sleep_for(std::chrono::nanoseconds(timeout_nanos));
  loop.RunAndWait([&] {
    for (const auto& discoverer : discoverers) discoverer->Stop();
    discoverers.clear();
  });
  return found;
}

}  // namespace

int CheckServiceDiscovery(const std::string& config_file, const std::string& job,
                          int64_t timeout_nanos) {
  Result<Config> config = LoadConfigFile(config_file);
  if (!config.ok()) return ReportError(config.status().WithPrefix("Cannot load config "));
  const Result<std::vector<ScrapeConfig>> jobs = ResolveScrapeConfigs(*config);
  if (!jobs.ok()) return ReportError(jobs.status().WithPrefix("Cannot load scrape configs "));
  const auto wanted = std::find_if(jobs->begin(), jobs->end(),
                                   [&job](const ScrapeConfig& c) { return c.job_name == job; });
  if (wanted == jobs->end()) {
    std::string text = "Job " + job + " not found. Select one of:\n";
    for (const ScrapeConfig& candidate : *jobs) text += "\t" + candidate.job_name + "\n";
    PrintError(text);
    return 1;
  }
  const Result<FoundGroups> groups = Discover(*wanted, timeout_nanos);
  if (!groups.ok()) return ReportError(groups.status());
  std::vector<FoundTarget> targets;
  for (const auto& [source, list] : *groups) {
    std::vector<FoundTarget> found = TargetsOfSource(*wanted, list);
    targets.insert(targets.end(), std::make_move_iterator(found.begin()),
                   std::make_move_iterator(found.end()));
  }
  PrintOut(TargetsJson(targets));
  return 0;
}

}  // namespace narthex::apps
