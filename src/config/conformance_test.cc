// Runs the recorded cases of the real server: whole configurations with their canonical print,
// HTTP client blocks, relabelling rules and rule files. Each set prints its counts.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "config/config.h"
#include "config/rule_file.h"
#include "util/file.h"
#include "util/strings.h"

namespace narthex {
namespace {

namespace json = boost::json;

std::string ConformanceDirectory() {
  const char* set = std::getenv("NARTHEX_CONFORMANCE_DIR");
  return set != nullptr ? set : std::string(NARTHEX_SOURCE_DIR) + "/../shared/conformance";
}

std::vector<json::object> ReadLines(const std::string& path) {
  std::vector<json::object> cases;
  const auto text = FileSystem::Posix().ReadAll(path);
  if (!text.ok()) return cases;
  for (const std::string_view line : Split(*text, '\n')) {
    if (!line.empty()) cases.push_back(json::parse(line).as_object());
  }
  return cases;
}

std::string Text(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

struct Counts {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  void Print(std::string_view set) const {
    fmt::print("[ COUNTS   ] {}: {} passed, {} failed, {} skipped\n", set, passed, failed, skipped);
  }
};

// Notes a case's outcome: empty is a pass.
void Note(Counts& counts, const std::string& name, const std::string& problem) {
  if (problem.empty()) {
    ++counts.passed;
  } else {
    ++counts.failed;
    ADD_FAILURE() << name << ": " << problem;
  }
}

// The cases name paths relative to their folder.
class InDirectory {
 public:
  explicit InDirectory(const std::string& path) : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  ~InDirectory() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

ConfigLoadOptions PlainEnvironment() {
  ConfigLoadOptions options;
  options.environment = [](const std::string&) { return std::string(); };
  return options;
}

TEST(Conformance, Configurations) {
  const std::string directory = ConformanceDirectory() + "/config";
  const auto cases = ReadLines(directory + "/expected.jsonl");
  if (cases.empty()) GTEST_SKIP() << "no cases in " << directory;
  const InDirectory here(directory);
  Counts counts;
  for (const json::object& test : cases) {
    const std::string file = Text(test, "file");
    const Result<Config> config = LoadConfigFile(file, PlainEnvironment());
    std::string problem;
    if (config.ok() != test.at("ok").as_bool()) {
      problem = config.ok() ? "was accepted, want error " + Text(test, "error")
                            : "was refused: " + config.status().message();
    } else if (config.ok()) {
      const std::string printed = PrintConfig(*config);
      if (printed != Text(test, "yaml")) {
        problem = "prints as\n" + printed + "\nwant\n" + Text(test, "yaml");
      }
    } else if (config.status().message() != Text(test, "error")) {
      problem = "error " + config.status().message() + "\nwant " + Text(test, "error");
    }
    Note(counts, file, problem);
  }
  counts.Print("config/expected.jsonl");
}

TEST(Conformance, ConfigurationErrors) {
  const std::string directory = ConformanceDirectory() + "/config";
  const auto text = FileSystem::Posix().ReadAll(directory + "/expected-errors.json");
  if (!text.ok()) GTEST_SKIP() << "no cases in " << directory;
  const InDirectory here(directory);
  Counts counts;
  const json::value entries = json::parse(*text);
  for (const json::value& entry : entries.as_array()) {
    const json::object& test = entry.as_object();
    const std::string file = Text(test, "file");
    // Recorded one folder up.
    std::string want = Text(test, "error_contains");
    if (const size_t at = want.find("testdata/"); at != std::string::npos) want.erase(at, 9);
    Result<Config> config = LoadConfigFile(file, PlainEnvironment());
    Status status = config.ok() ? ResolveScrapeConfigs(*config).status() : config.status();
    std::string problem;
    if (status.ok()) {
      problem = "was accepted, want error with " + want;
    } else if (status.message().find(want) == std::string::npos) {
      problem = "error " + status.message() + "\nwant one with " + want;
    }
    Note(counts, file, problem);
  }
  counts.Print("config/expected-errors.json");
}

TEST(Conformance, HttpClientConfigs) {
  const std::string path = ConformanceDirectory() + "/common/http-client-config.jsonl";
  const auto cases = ReadLines(path);
  if (cases.empty()) GTEST_SKIP() << "no cases in " << path;
  Counts counts;
  for (const json::object& test : cases) {
    const std::string text = Text(test, "text");
    Status status;
    if (Text(test, "kind") == "tls_config") {
      const Result<TlsConfig> config = ParseTlsConfig(text);
      status = config.ok() ? config->ValidateVersions() : config.status();
    } else {
      status = ParseHttpClientConfig(text).status();
    }
    const std::string want = Text(test, "error_contains");
    std::string problem;
    if (status.ok() != test.at("ok").as_bool()) {
      problem = status.ok() ? "was accepted, want " + want : status.message();
    } else if (!status.ok() && status.message().find(want) == std::string::npos) {
      problem = "error " + status.message() + "\nwant one with " + want;
    }
    Note(counts, Text(test, "file"), problem);
  }
  counts.Print("common/http-client-config.jsonl");
}

TEST(Conformance, RelabelRules) {
  const std::string path = ConformanceDirectory() + "/relabel/cases.jsonl";
  const auto cases = ReadLines(path);
  if (cases.empty()) GTEST_SKIP() << "no cases in " << path;
  Counts counts;
  const auto labels_of = [](const json::value& object) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& [name, value] : object.as_object()) {
      pairs.emplace_back(name, value.as_string());
    }
    return Labels::FromPairs(pairs);
  };
  for (const json::object& test : cases) {
    const std::string yaml = Text(test, "relabel_configs");
    const auto rules = ParseRelabelConfigs(yaml, NameValidation::kUtf8);
    std::string problem;
    if (!rules.ok()) {
      problem = rules.status().message();
    } else {
      bool dropped = false;
      const Labels got = Relabel(labels_of(test.at("input")), *rules, &dropped);
      if (dropped == test.at("keep").as_bool()) {
        problem = dropped ? "was dropped" : "was kept";
      } else if (!dropped && got != labels_of(test.at("output"))) {
        problem = "gives " + got.ToString();
      }
    }
    Note(counts, yaml, problem);
  }
  counts.Print("relabel/cases.jsonl");
}

TEST(Conformance, RelabelValidation) {
  const std::string path = ConformanceDirectory() + "/common/model.jsonl";
  const auto cases = ReadLines(path);
  if (cases.empty()) GTEST_SKIP() << "no cases in " << path;
  Counts counts;
  for (const json::object& test : cases) {
    if (Text(test, "kind") != "relabel_validate") continue;
    const json::object& fields = test.at("config").as_object();
    RelabelConfig config;
    const std::string action = Text(fields, "Action");
    config.action = action.empty() ? RelabelAction::kUnset : *ParseRelabelAction(action);
    config.separator = Text(fields, "Separator");
    config.target_label = Text(fields, "TargetLabel");
    config.replacement = Text(fields, "Replacement");
    config.modulus = static_cast<uint64_t>(fields.at("Modulus").to_number<int64_t>());
    if (!Text(fields, "Regex").empty()) {
      config.regex = *RelabelRegex::Compile(Text(fields, "Regex"));
    }
    const std::string scheme = Text(fields, "NameValidationScheme");
    const Status status =
        config.Validate(scheme == "legacy" ? NameValidation::kLegacy : NameValidation::kUtf8);
    const std::string want = Text(test, "error_contains");
    std::string problem;
    if (status.ok() != want.empty() ||
        (!status.ok() && status.message().find(want) == std::string::npos)) {
      problem = "says '" + status.message() + "', want '" + want + "'";
    }
    Note(counts, json::serialize(fields), problem);
  }
  counts.Print("common/model.jsonl relabel_validate");
}

TEST(Conformance, RuleFiles) {
  const std::string directory = ConformanceDirectory() + "/rules";
  const auto cases = ReadLines(directory + "/expected.jsonl");
  if (cases.empty()) GTEST_SKIP() << "no cases in " << directory;
  const InDirectory here(directory + "/rulefmt");
  Counts counts;
  for (const json::object& test : cases) {
    const std::string file = Text(test, "file");
    const std::string want = Text(test, "stderr");
    if (want.find("could not parse expression") != std::string::npos) {
      ++counts.skipped;  // Needs the expression parser of a higher layer.
      continue;
    }
    const RuleFileResult result = LoadRuleFile(file, {});
    std::string problem;
    if (result.errors.empty() != test.at("ok").as_bool()) {
      problem = result.errors.empty() ? "was accepted" : result.errors.front().message();
    } else if (!result.errors.empty()) {
      std::string printed = "  FAILED:\n";
      for (const Status& error : result.errors) printed += error.message() + "\n";
      if (printed != want) problem = "says\n" + printed + "want\n" + want;
    }
    Note(counts, file, problem);
  }
  counts.Print("rules/expected.jsonl");
}

TEST(Conformance, MixinRuleFilesLoad) {
  const std::string directory = ConformanceDirectory() + "/corpus";
  if (!std::filesystem::exists(directory)) GTEST_SKIP() << "no " << directory;
  Counts counts;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (name != "alerts.yaml" && name != "rules.yaml") continue;
    const RuleFileResult result = LoadRuleFile(entry.path(), {});
    Note(counts, entry.path(),
         result.errors.empty() ? std::string() : result.errors.front().message());
  }
  counts.Print("corpus/mixins rule files");
}

}  // namespace
}  // namespace narthex
