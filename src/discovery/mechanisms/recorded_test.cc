// Exchanges between the real discoverers and their APIs, recorded with the groups that came of
// them: ours get the same answers and must find the same groups.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

#include "discovery/mechanisms/mechanisms.h"
#include "testing/conformance.h"
#include "testing/fake_api.h"

namespace narthex {
namespace {

namespace json = boost::json;

constexpr std::string_view kServer = "127.0.0.1:9090";

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The entry that the recorded discoverer had, as far as it shows.
std::string EntryOf(const json::object& test) {
  const std::string mechanism(test.at("mechanism").as_string());
  const std::string_view discoverer = test.at("discoverer").as_string();
  const std::string_view title = test.at("title").as_string();
  const std::string server = "http://" + std::string(kServer);
  const std::string printed = json::serialize(test);
  if (mechanism == "http") {
    for (const json::value& group : test.at("groups").as_array()) {
      if (group.at("targets").as_array().empty()) continue;
      return fmt::format("http_sd_configs:\n- url: {}",
                         std::string_view(group.at("labels").at("__meta_url").as_string()));
    }
    return "http_sd_configs:\n- url: " + server;
  }
  if (mechanism == "moby" && discoverer == "DockerDiscovery") {
    return fmt::format("docker_sd_configs:\n- host: {}\n  match_first_network: {}", server,
                       !Contains(title, "MatchAllNetworks"));
  }
  if (mechanism == "moby") {
    return fmt::format("dockerswarm_sd_configs:\n- host: {}\n  role: {}", server,
                       Contains(title, "Nodes") ? "nodes" : "services");
  }
  std::string entry = mechanism + "_sd_configs:\n- ";
  if (mechanism == "eureka") return entry + "server: " + server;
  if (mechanism == "hetzner") {
    return entry + "role: " + (Contains(discoverer, "robot") ? "robot" : "hcloud");
  }
  if (mechanism == "ionos") return entry + "datacenter_id: 8feda53f-15f0-447f-badf-ebe32dad2fc0";
  if (mechanism == "puppetdb") {
    return fmt::format("{}url: {}\n  query: vhosts\n  include_parameters: {}", entry, server,
                       Contains(printed, "puppetdb_parameter"));
  }
  if (mechanism == "scaleway") {
    return fmt::format(
        "{}role: instance\n  api_url: {}\n  access_key: SCWXXXXXXXXXXXXXXXXX\n"
        "  secret_key: 11111111-1111-1111-1111-111111111111\n"
        "  project_id: 11111111-1111-1111-1111-111111111112",
        entry, server);
  }
  if (mechanism == "stackit") {
    return fmt::format("{}endpoint: {}\n  project: 00000000-0000-0000-0000-000000000000", entry,
                       server);
  }
  if (mechanism == "uyuni") {
    return fmt::format("{}server: {}\n  username: u\n  password: p", entry, server);
  }
  return entry + "refresh_interval: 1m";
}

// The mechanism's name in an entry.
std::string NameOf(const json::object& test) {
  std::string mechanism(test.at("mechanism").as_string());
  if (mechanism != "moby") return mechanism;
  return test.at("discoverer").as_string() == "DockerDiscovery" ? "docker" : "dockerswarm";
}

class RecordedCase : public testing::DiscoveryTest {
 public:
  explicit RecordedCase(const json::object& test) : test_(test) {
    RegisterBuiltinMechanisms(registry);
  }
  bool IsSupported() const { return registry.Has(NameOf(test_)); }

  // What is wrong; empty: nothing.
  std::string Run() {
    for (const json::value& exchange : test_.at("exchanges").as_array()) {
      Serve(exchange.as_object());
    }
    Start(EntryOf(test_));
    std::set<std::string> want;
    for (const json::value& group : test_.at("groups").as_array()) {
      if (group.at("targets").as_array().empty()) continue;
      std::set<std::string> targets;
      for (const json::value& target : group.at("targets").as_array()) {
        TextMap labels;
        for (const auto& [name, value] : target.as_object()) labels[name] = value.as_string();
        targets.insert(TextOf(labels));
      }
      TextMap common;
      for (const auto& [name, value] : group.at("labels").as_object()) {
        common[name] = value.as_string();
      }
      want.insert(GroupText(std::string(group.at("source").as_string()), common, targets));
    }
    std::set<std::string> got;
    for (const auto& [source, group] : groups) {
      std::set<std::string> targets;
      for (const TargetLabels& target : group->targets) {
        targets.insert(TextOf(TextMap(target.begin(), target.end())));
      }
      got.insert(GroupText(source, group->labels, targets));
    }
    const bool failed = RefreshFailures(NameOf(test_)) > 0;
    if (failed != test_.contains("error")) return failed ? "is refused" : "is not refused";
    if (got == want) return "";
    return fmt::format("gives\n{}\nnot\n{}", Lines(got), Lines(want));
  }

  void TestBody() override {}

 private:
  static std::string TextOf(const TextMap& labels) {
    std::string text;
    for (const auto& [name, value] : labels) text += name + "=" + value + "\n    ";
    return text;
  }
  static std::string GroupText(const std::string& source, const TextMap& common,
                               const std::set<std::string>& targets) {
    return source + " {" + TextOf(common) + "}\n" + Lines(targets);
  }
  static std::string Lines(const std::set<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }

  // Recorded paths may lack what the real API's address has before them, and may have a redirect to
  // the same with a slash, which is a trait of the recorder's server.
  void Serve(const json::object& exchange) {
    const auto status = static_cast<int>(exchange.at("status").as_int64());
    if (status == 307) return;
    std::string path(exchange.at("path").as_string());
    if (path.ends_with('/')) path.pop_back();
    std::vector<std::pair<std::string, std::string>> headers;
    headers.emplace_back("Content-Type", std::string(exchange.at("content_type").as_string()));
    if (path == "/_ping") headers.emplace_back("Api-Version", "1.40");
    std::string body =
        exchange.contains("body") ? std::string(exchange.at("body").as_string()) : "";
    FetchResponse answer = testing::Answer(std::move(body), status, std::move(headers));
    const std::string method(exchange.at("method").as_string());
    for (const std::string_view host :
         {"http://127.0.0.1:9090", "https://api.digitalocean.com", "https://api.hetzner.cloud/v1",
          "https://robot-ws.your-server.de", "https://api.ionos.com", "https://api.linode.com"}) {
      std::vector<FetchResponse>& turns = turns_[method + " " + std::string(host) + path];
      turns.push_back(answer);
      const size_t turn = turns.size();
      if (turn > 1) continue;
      const std::string route = method + " " + std::string(host) + path;
      api.Serve(route, [this, route](const FetchRequest&) -> testing::FakeApi::Reply {
        std::vector<FetchResponse>& left = turns_[route];
        FetchResponse next = left.front();
        if (left.size() > 1) left.erase(left.begin());
        return Result<FetchResponse>(std::move(next));
      });
    }
  }

  const json::object& test_;
  std::map<std::string, std::vector<FetchResponse>> turns_;
};

TEST(Conformance, Exchanges) {
  const auto text = testing::LoadText("discovery/cases.jsonl");
  if (!text) GTEST_SKIP() << testing::kNoConformanceData;
  int passed = 0;
  int failed = 0;
  std::map<std::string, int> skipped;
  for (const std::string_view line : Split(*text, '\n')) {
    if (line.empty()) continue;
    std::string filled(line);
    for (size_t at; (at = filled.find("SERVER")) != std::string::npos;) {
      filled.replace(at, 6, kServer);
    }
    const json::value document = json::parse(filled);
    RecordedCase recorded(document.as_object());
    if (!recorded.IsSupported()) {
      ++skipped[NameOf(document.as_object())];
      continue;
    }
    const std::string problem = recorded.Run();
    if (problem.empty()) {
      ++passed;
    } else {
      ++failed;
      ADD_FAILURE() << std::string_view(document.at("title").as_string()) << " " << problem;
    }
  }
  int skipped_total = 0;
  for (const auto& [mechanism, count] : skipped) skipped_total += count;
  fmt::print("[ COUNTS   ] discovery/cases.jsonl: {} passed, {} failed, {} skipped\n", passed,
             failed, skipped_total);
}

}  // namespace
}  // namespace narthex
