// What the recorded cases do not say, table by table.
#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/rule_file.h"
#include "config/web_config.h"
#include "config/yaml_print.h"

namespace narthex {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ConfigLoadOptions Options(TextMap environment = {}) {
  ConfigLoadOptions options;
  options.environment = [environment = std::move(environment)](const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  return options;
}

std::string ErrorOf(std::string_view yaml) {
  const Result<Config> config = ParseConfig(yaml, Options());
  return config.ok() ? "" : config.status().message();
}

TEST(ParseConfig, ReportsMistakesWithLinesInGoWords) {
  struct Case {
    std::string_view yaml;
    std::string_view want;
  };
  const std::string unmarshal = "yaml: unmarshal errors:\n  ";
  for (const Case& c : {
           Case{"foo: 1\n", "line 1: field foo not found in type config.plain"},
           Case{"global:\n  a: 1\n  b: 2\n",
                "line 2: field a not found in type config.plain\n"
                "  line 3: field b not found in type config.plain"},
           Case{"scrape_configs:\n- job_name: x\n  honor_labels: maybe\n",
                "line 3: cannot unmarshal !!str `maybe` into bool"},
           Case{"scrape_configs: 3\n",
                "line 1: cannot unmarshal !!int `3` into []*config.ScrapeConfig"},
           Case{"scrape_configs:\n- a-rather-long-text\n",
                "line 2: cannot unmarshal !!str `a-rathe...` into config.ScrapeConfig"},
           Case{"global: [1]\n", "line 1: cannot unmarshal !!seq into config.plain"},
           Case{"global: {sample_limit: -1}\n", "line 1: cannot unmarshal !!int `-1` into uint"},
           Case{"global: {query_max_series: 1.5e30}\n",
                "line 1: cannot unmarshal !!float `1.5e30` into uint64"},
           Case{"global: {scrape_interval: {a: b}}\n",
                "line 1: cannot unmarshal !!map into string"},
           Case{"global:\n  external_labels: {a: b, a: c}\n",
                "line 2: key \"a\" already set in map"},
           Case{"rule_files: x\n", "line 1: cannot unmarshal !!str `x` into []string"},
           Case{"scrape_configs:\n- job_name: x\n  static_configs:\n  - target: [a]\n",
                "line 4: field target not found in type struct { Targets []string "
                "\"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }"},
           Case{"scrape_configs:\n- job_name: x\n  file_sd_configs:\n  - file: [a]\n",
                "line 4: field file not found in type file.plain"},
           Case{"scrape_configs:\n- job_name: x\n  job_name: y\n",
                "line 3: field job_name already set in type config.ScrapeConfig"},
           Case{"scrape_configs:\n- job_name: x\n  tls_config: {ca: [], foo: 1}\n",
                "line 3: cannot unmarshal !!seq into string\n"
                "  line 3: field foo not found in type config.plain"},
       }) {
    EXPECT_EQ(ErrorOf(c.yaml), unmarshal + std::string(c.want)) << c.yaml;
  }
}

TEST(ParseConfig, TheFirstFailedCheckEndsTheReading) {
  struct Case {
    std::string_view yaml;
    std::string_view want;
  };
  for (const Case& c : {
           Case{"global: {scrape_interval: 5}\n", "not a valid duration string: \"5\""},
           Case{"global: {scrape_interval: \"\"}\n", "empty duration string"},
           Case{"foo: 1\nglobal: {scrape_timeout: 2m}\n",
                "global scrape timeout greater than scrape interval"},
           Case{"global: {body_size_limit: 12}\n", "units: unknown unit  in 12"},
           Case{"global: {scrape_protocols: []}\n",
                "scrape_protocols cannot be empty for global config"},
           Case{"global: {metric_name_escaping_scheme: x}\nscrape_configs: [{job_name: a}]\n",
                "unknown global name escaping method specified, must be one of 'allow-utf-8', "
                "'underscores', 'dots', or 'values', got \"x\""},
           Case{"runtime: {log_level: loud}\n", "unrecognized log level loud"},
           Case{"scrape_configs: [{job_name: a}, {job_name: a}]\n",
                "found multiple scrape configs with job name \"a\""},
           Case{"scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x']}]}]\n",
                "\"http://x\" is not a valid hostname"},
           Case{"scrape_configs: [{job_name: a, kuma_sd_configs: [null]}]\n",
                "empty or null section in kuma_sd_configs"},
           Case{"scrape_configs: [{job_name: a, proxy_url: ':x'}]\n",
                "parse \":x\": missing protocol scheme"},
           Case{"scrape_configs: [{job_name: a, http_headers: {content-type: {values: [b]}}}]\n",
                "setting header \"Content-Type\" is not allowed"},
           Case{"scrape_configs: [{job_name: a, fallback_scrape_protocol: X}]\n",
                "invalid fallback_scrape_protocol for scrape config with job name \"a\": unknown "
                "scrape protocol X, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 "
                "OpenMetricsText2.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"},
           Case{"scrape_configs: [{job_name: a, relabel_configs: [{action: foo}]}]\n",
                "unknown relabel action \"foo\""},
           Case{"alerting: {alertmanagers: [null]}\n", "empty or null alertmanager config section"},
           Case{"storage: {tsdb: {retention: {percentage: 101}}}\n",
                "'storage.tsdb.retention.percentage' must be in the range [0, 100], got 101"},
           Case{"storage: {tsdb: {chunk_encoding: {floats: gorilla}}}\n",
                "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must "
                "be omitted entirely, got \"gorilla\""},
           Case{"tracing: {endpoint: x, client_type: udp}\n",
                "expected tracing client type to be to be http or grpc, but got udp"},
           Case{"remote_write: [{url: http://x, sigv4: {}, google_iam: {}}]\n",
                "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam "
                "must be configured. Currently configured: [sigv4 google_iam]"},
           Case{"remote_write: [{url: http://x, azuread: {sdk: {}, managed_identity: "
                "{client_id: nope}}}]\n",
                "cannot provide multiple authentication methods in the Azure AD config"},
           Case{"remote_write: [{url: http://x, sigv4: {session_name: a}}]\n",
                "session_name can only be used with role_arn"},
           Case{"a: *b\n", "yaml: line 1: the referenced anchor is not defined"},
           Case{"a: \x01\n", "yaml: control characters are not allowed"},
       }) {
    EXPECT_EQ(ErrorOf(c.yaml), c.want) << c.yaml;
  }
}

TEST(ParseConfig, RefusesTextsThatUnfoldWithoutEnd) {
  const std::string yaml =
      "scrape_configs:\n- job_name: a\n  params: {a: &x0 [a,a,a,a,a,a,a,a,a,a]}\n"
      "  oauth2: {client_id: a, token_url: b, claims: {c:\n" +
      [] {
        std::string nested = "    [&x1 [*x0,*x0,*x0,*x0,*x0,*x0,*x0,*x0,*x0,*x0]";
        for (int i = 2; i < 8; ++i) {
          nested += fmt::format(", &x{} [", i);
          for (int k = 0; k < 10; ++k) nested += fmt::format("{}*x{}", k > 0 ? "," : "", i - 1);
          nested += "]";
        }
        return nested + "]}}\n";
      }();
  EXPECT_EQ(ErrorOf(yaml), "yaml: document contains excessive aliasing");
  EXPECT_THAT(ErrorOf("scrape_configs: [{job_name: a, oauth2: {claims: &c {x: *c}}}]\n"),
              HasSubstr("contains itself"));
}

TEST(ParseConfig, MergesAndAliases) {
  const auto config = ParseConfig(
      "scrape_configs:\n"
      "- &base {job_name: one, scrape_timeout: 5s, honor_labels: on}\n"
      "- <<: *base\n"
      "  job_name: two\n"
      "- <<: [{job_name: three, scheme: https}, {scheme: ftp, metrics_path: /x}]\n",
      Options());
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->scrape_configs[1].job_name, "two");
  EXPECT_TRUE(config->scrape_configs[1].honor_labels);
  EXPECT_EQ(config->scrape_configs[1].scrape_timeout, Seconds(5));
  EXPECT_EQ(config->scrape_configs[2].scheme, "https");
  EXPECT_EQ(config->scrape_configs[2].metrics_path, "/x");
}

TEST(ParseConfig, JobsInheritWhatTheyDoNotSay) {
  const auto config = ParseConfig(
      "global: {scrape_interval: 7s, sample_limit: 3, scrape_native_histograms: true,\n"
      "         metric_name_validation_scheme: legacy}\n"
      "scrape_configs: [{job_name: a}, {job_name: b, sample_limit: 4, scrape_interval: 1m,\n"
      "                  scrape_native_histograms: false, metric_name_validation_scheme: utf8}]\n",
      Options());
  ASSERT_TRUE(config.ok()) << config.status().message();
  const ScrapeConfig& a = config->scrape_configs[0];
  const ScrapeConfig& b = config->scrape_configs[1];
  EXPECT_EQ(a.scrape_interval, Seconds(7));
  EXPECT_EQ(a.scrape_timeout, Seconds(7)) << "ten seconds do not fit";
  EXPECT_EQ(a.sample_limit, 3U);
  EXPECT_EQ(a.scrape_protocols.front(), kPrometheusProto);
  EXPECT_EQ(a.metric_name_escaping_scheme, "underscores");
  EXPECT_EQ(b.scrape_timeout, Seconds(7));
  EXPECT_EQ(b.sample_limit, 4U);
  EXPECT_EQ(b.scrape_protocols.front(), kOpenMetricsText100);
  EXPECT_EQ(b.metric_name_escaping_scheme, "allow-utf-8");
}

TEST(ParseConfig, DefaultsComeFromFlagsWhereTheFileIsSilent) {
  ConfigLoadOptions options = Options({{"GOGC", "off"}});
  options.defaults.prefer_protobuf = true;
  options.defaults.extra_scrape_metrics = true;
  options.defaults.log_level = "debug";
  options.defaults.retention.time = Minutes(60);
  for (const std::string_view yaml :
       {"", "# nothing\n", "global:\nruntime:\nstorage:\n", "storage: {tsdb: {}}\n"}) {
    const auto config = ParseConfig(yaml, options);
    ASSERT_TRUE(config.ok());
    EXPECT_EQ(config->global.scrape_protocols.front(), kPrometheusProto);
    EXPECT_TRUE(*config->global.extra_scrape_metrics);
    EXPECT_EQ(config->runtime.log_level, "debug");
    EXPECT_EQ(config->storage.tsdb->retention->time, Minutes(60));
  }
  EXPECT_EQ(ParseConfig("", options)->runtime.gogc, -1);
  const auto own = ParseConfig("storage: {tsdb: {retention: {size: 1GB}}}\n", options);
  EXPECT_EQ(own->storage.tsdb->retention->time, Seconds(0)) << "a section of its own counts whole";
}

TEST(ParseConfig, ExpandsVariablesInExternalLabels) {
  struct Case {
    std::string_view text, want;
  };
  for (const Case& c : {Case{"$A", "1"}, Case{"x${A}y", "x1y"}, Case{"$Ay", ""}, Case{"$$A", "$A"},
                        Case{"$", "$"}, Case{"a$", "a$"}, Case{"$-", ""}, Case{"${}x", "x"},
                        Case{"${A", "A"}, Case{"$ A", "$ A"}, Case{"$NONE-", "-"}}) {
    const auto config = ParseConfig(
        fmt::format("global: {{external_labels: {{l: '{}'}}}}\n", c.text), Options({{"A", "1"}}));
    ASSERT_TRUE(config.ok());
    EXPECT_EQ(config->global.external_labels.at("l"), c.want) << c.text;
  }
}

TEST(LoadConfigFile, JoinsPathsAndReadsScrapeConfigFiles) {
  const TemporaryDirectory folder;
  FileSystem& files = FileSystem::Posix();
  ASSERT_TRUE(files.CreateDirectories(folder.path() + "/jobs").ok());
  const auto write = [&](const std::string& name, std::string_view text) {
    ASSERT_TRUE(files.WriteAtomically(folder.path() + "/" + name, text).ok());
  };
  write("main.yml",
        "rule_files: [r/*.yml, /abs.yml]\nscrape_config_files: ['jobs/*.yml']\n"
        "scrape_configs: [{job_name: a, tls_config: {ca_file: ../ca.pem},\n"
        "  file_sd_configs: [{files: [t/*.json]}]}]\n");
  write("jobs/b.yml", "scrape_configs: [{job_name: b, bearer_token_file: token}]\n");
  const auto config = LoadConfigFile(folder.path() + "/main.yml", Options());
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_THAT(config->rule_files, ElementsAre(folder.path() + "/r/*.yml", "/abs.yml"));
  EXPECT_EQ(config->scrape_configs[0].http_client.tls_config.ca_file,
            DirName(folder.path()) + "/ca.pem");
  EXPECT_THAT(config->scrape_configs[0].service_discovery[0].As<FileSdConfig>()->files,
              ElementsAre(folder.path() + "/t/*.json"));
  const auto all = ResolveScrapeConfigs(*config);
  ASSERT_TRUE(all.ok()) << all.status().message();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[1].http_client.authorization->credentials_file, folder.path() + "/jobs/token");

  write("jobs/c.yml", "scrape_configs: [{job_name: b}]\n");
  EXPECT_EQ(ResolveScrapeConfigs(*config).status().message(),
            fmt::format("\"{0}/jobs/c.yml\": found multiple scrape configs with job name \"b\", "
                        "first found in \"{0}/jobs/b.yml\"",
                        folder.path()));
  write("jobs/c.yml", "global: {}\n");
  EXPECT_THAT(ResolveScrapeConfigs(*config).status().message(),
              HasSubstr("field global not found in type config.ScrapeConfigs"));
  EXPECT_EQ(LoadConfigFile(folder.path() + "/none.yml").status().message(),
            "open " + folder.path() + "/none.yml: no such file or directory");
}

TEST(GlobFiles, FollowsGo) {
  const TemporaryDirectory folder;
  FileSystem& files = FileSystem::Posix();
  for (const std::string_view name : {"a.yml", "b.yml", "b[1].yml", "sub/c.yml"}) {
    const std::string path = folder.path() + "/" + std::string(name);
    ASSERT_TRUE(files.CreateDirectories(DirName(path)).ok());
    ASSERT_TRUE(files.WriteAtomically(path, "").ok());
  }
  const auto glob = [&](const std::string& pattern) {
    const auto found = GlobFiles(folder.path() + "/" + pattern);
    if (!found.ok()) return std::vector<std::string>{found.status().message()};
    std::vector<std::string> names;
    for (const std::string& path : *found) names.push_back(path.substr(folder.path().size() + 1));
    return names;
  };
  EXPECT_THAT(glob("*.yml"), ElementsAre("a.yml", "b.yml", "b[1].yml"));
  EXPECT_THAT(glob("[^a].yml"), ElementsAre("b.yml"));
  EXPECT_THAT(glob("[a-b].yml"), ElementsAre("a.yml", "b.yml"));
  EXPECT_THAT(glob("b\\[1\\].yml"), ElementsAre("b[1].yml"));
  EXPECT_THAT(glob("*/?.yml"), ElementsAre("sub/c.yml"));
  EXPECT_THAT(glob("a.yml"), ElementsAre("a.yml"));
  EXPECT_THAT(glob("none*"), ElementsAre());
  EXPECT_THAT(glob("none.yml"), ElementsAre());
  EXPECT_THAT(glob("[a"), ElementsAre("syntax error in pattern"));
}

TEST(InactiveSections, NamesWhatIsAcceptedButNotDone) {
  const auto config = ParseConfig(
      "remote_write: [{url: http://x}]\ntracing: {endpoint: x}\notlp: {promote_scope_metadata: "
      "true}\nstorage: {tsdb: {stale_series_compaction_threshold: 0.5}}\n"
      "scrape_configs: [{job_name: k, kubernetes_sd_configs: [{role: pod}, {role: node}],\n"
      "                  file_sd_configs: [{files: [a.json]}]}]\n",
      Options());
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_THAT(InactiveSections(*config, {"file", "static"}),
              ElementsAre("remote_write", "otlp", "kubernetes_sd_configs (job \"k\")"));
  EXPECT_THAT(InactiveSections(*ParseConfig("", Options()), {}), ElementsAre());
}

TEST(Fingerprint, SeesSecretsThatThePrintHides) {
  const auto parse = [](std::string_view password) {
    return *ParseConfig(fmt::format("scrape_configs: [{{job_name: a, basic_auth: {{username: u, "
                                    "password: {}}}, http_sd_configs: [{{url: 'http://h', "
                                    "authorization: {{credentials: {}}}}}]}}]\n",
                                    password, password),
                        Options());
  };
  const Config one = parse("one");
  const Config two = parse("two");
  EXPECT_EQ(PrintConfig(one), PrintConfig(two));
  EXPECT_EQ(PrintConfig(one).find("one"), std::string::npos);
  EXPECT_NE(Fingerprint(one.scrape_configs[0]), Fingerprint(two.scrape_configs[0]));
  EXPECT_FALSE(one.scrape_configs[0].service_discovery[0] ==
               two.scrape_configs[0].service_discovery[0]);
  EXPECT_TRUE(one.scrape_configs[0].service_discovery[0] ==
              parse("one").scrape_configs[0].service_discovery[0]);
}

TEST(HttpClientConfig, KeepsClaimsOfAnyShape) {
  const auto config = ParseHttpClientConfig(
      "oauth2: {client_id: a, token_url: b, claims: {n: 1, t: 'x y', l: [true, null], m: {k: "
      "v}}}\n");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->oauth2->claims.values,
            (TextMap{{"n", "1"}, {"t", "\"x y\""}, {"l", "[true,null]"}, {"m", "{\"k\":\"v\"}"}}));
  ScrapeConfig job;
  job.http_client = *config;
  EXPECT_THAT(PrintScrapeConfig(job),
              HasSubstr("  claims:\n    l:\n    - true\n    - null\n    m:\n      k: v\n    \"n\": "
                        "1\n    t: x y\n"));
}

TEST(ByteSize, ParsesAndPrints) {
  struct Case {
    std::string_view text;
    int64_t want;
    std::string_view printed;
  };
  for (const Case& c : {Case{"0", 0, "0B"}, Case{"1B", 1, "1B"}, Case{"1KB", 1024, "1KiB"},
                        Case{"1KiB", 1024, "1KiB"}, Case{"1.5MB", 3 << 19, "1MiB512KiB"},
                        Case{"1GB512MB", 3LL << 29, "1GiB512MiB"}, Case{".5KB", 512, "512B"},
                        Case{"-1KB", -1024, "-1KiB"}}) {
    const auto size = ByteSize::Parse(c.text);
    ASSERT_TRUE(size.ok()) << c.text;
    EXPECT_EQ(size->bytes, c.want) << c.text;
    EXPECT_EQ(size->ToString(), c.printed);
  }
  for (const auto& [text, want] :
       {std::pair{"12", "units: unknown unit  in 12"}, std::pair{"", "units: invalid "},
        std::pair{"1kB", "units: unknown unit kB in 1kB"}, std::pair{"x", "units: invalid x"},
        std::pair{"100EB", "units: overflow parsing unit"}}) {
    EXPECT_EQ(ByteSize::Parse(text).status().message(), want);
  }
}

TEST(Url, ParsesAndPrintsAsGoDoes) {
  for (const std::string_view same :
       {"http://h/p?q=1#f", "http://u:p%40@h:80/a%2Fb", "//h/p", "/p", "p/q", "mailto:x@y",
        "http://[::1]:9090/", "unix:///run/x.sock", "http://h?", "a:b", "http://h/%zz?no"}) {
    if (same == "http://h/%zz?no") continue;
    const auto url = Url::Parse(same);
    ASSERT_TRUE(url.ok()) << same << url.status().message();
    EXPECT_EQ(url->ToString(), same);
  }
  EXPECT_EQ(Url::Parse("HTTP://u:secret@h/a b")->Redacted(), "http://u:xxxxx@h/a%20b");
  EXPECT_EQ(Url::Parse("http://[fe80::1]:1/")->hostname(), "fe80::1");
  EXPECT_EQ(Url::Parse("http://[fe80::1]:1/")->port(), "1");
  for (const auto& [text, want] :
       {std::pair{":x", "parse \":x\": missing protocol scheme"},
        std::pair{"1:2", "parse \"1:2\": first path segment in URL cannot contain colon"},
        std::pair{"http://h:x/", "parse \"http://h:x/\": invalid port \":x\" after host"},
        std::pair{"http://a b/", "parse \"http://a b/\": invalid character \" \" in host name"},
        std::pair{"http://h/%zz", "parse \"http://h/%zz\": invalid URL escape \"%zz\""},
        std::pair{"http://[::1", "parse \"http://[::1\": missing ']' in host"},
        std::pair{"http://a\x7f",
                  "parse \"http://a\\x7f\": net/url: invalid control character in "
                  "URL"}}) {
    EXPECT_EQ(Url::Parse(text).status().message(), want);
  }
}

TEST(YamlPrint, QuotesAndFoldsAsGoDoes) {
  struct Case {
    std::string_view text, want;
  };
  const std::string words =
      "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff ggggggggg hhhhhhhhh iiiiiiiii "
      "jjjjjjjjj";
  const std::string folded =
      "aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff ggggggggg hhhhhhhhh\n  "
      "iiiiiiiii jjjjjjjjj";
  for (const Case& c : {
           Case{"plain", "plain"},
           Case{"", "\"\""},
           Case{"123", "\"123\""},
           Case{"yes", "\"yes\""},
           Case{"null", "\"null\""},
           Case{"1:30", "\"1:30\""},
           Case{"2020-01-01", "\"2020-01-01\""},
           Case{"1.5", "\"1.5\""},
           Case{"a: b", "'a: b'"},
           Case{"a:b", "a:b"},
           Case{"#x", "'#x'"},
           Case{"a #x", "'a #x'"},
           Case{"- x", "'- x'"},
           Case{"-x", "-x"},
           Case{",", "','"},
           Case{"it's: x", "'it''s: x'"},
           Case{" lead", "' lead'"},
           Case{"tab\there", "\"tab\\there\""},
           Case{"(.*)", "(.*)"},
           Case{"[a]", "'[a]'"},
           Case{"ü", "ü"},
           Case{"😀", "\"\\U0001F600\""},
           Case{"\xff", "!!binary /w=="},
           Case{"a\nb", "|-\n  a\n  b"},
           Case{"a\nb\n", "|\n  a\n  b"},
           Case{"<<", "\"<<\""},
           Case{words, folded},
       }) {
    YamlValue mapping = YamlValue::Mapping();
    mapping.Add("k", YamlValue::Text(c.text));
    EXPECT_EQ(mapping.Print(), "k: " + std::string(c.want) + "\n");
  }
  EXPECT_TRUE(YamlKeyLess("a2", "a10"));
  EXPECT_TRUE(YamlKeyLess("_a", "a"));
  EXPECT_TRUE(YamlKeyLess("A", "a"));
  EXPECT_TRUE(YamlKeyLess("a", "ab"));
  EXPECT_FALSE(YamlKeyLess("a", "a"));
}

TEST(RuleFile, ReadsAndNamesWhatIsWrong) {
  const auto errors = [](std::string_view yaml, const RuleFileOptions& options = {}) {
    std::string all;
    for (const Status& status : ParseRuleFile("f", yaml, options).errors) {
      all += status.message() + "\n";
    }
    return all;
  };
  const RuleFileResult good = ParseRuleFile(
      "f",
      "groups:\n- name: g\n  interval: 1m\n  query_offset: 0s\n  limit: 3\n  labels: {a: b}\n"
      "  rules:\n  - &r {record: a:b, expr: up}\n  - <<: *r\n    labels: {c: d}\n"
      "  - {alert: A, expr: up == 0, for: 5m, keep_firing_for: 1m, annotations: {s: t}}\n"
      "---\nignored: true\n",
      {});
  ASSERT_TRUE(good.errors.empty()) << good.errors.front().message();
  const RuleGroupConfig& group = good.groups.groups.front();
  EXPECT_TRUE(good.groups.has_second_document);
  EXPECT_EQ(group.interval, Minutes(1));
  EXPECT_EQ(group.query_offset, Seconds(0));
  EXPECT_EQ(group.limit, 3);
  EXPECT_EQ(group.rules[1].record, "a:b");
  EXPECT_EQ(group.rules[2].hold, Minutes(5));
  EXPECT_EQ(group.rules[2].expr_position.line, 11);
  EXPECT_TRUE(ParseRuleFile("f", "", {}).errors.empty());

  EXPECT_EQ(errors("groups:\n- name: ''\n  rules:\n  - {record: 'a b', expr: ''}\n"),
            "f: 0:0: Groupname must not be empty\n"
            "f: 4:27: group \"\", rule 1, \"a b\": field 'expr' must be set in rule\n");
  EXPECT_EQ(errors("groups:\n- name: g\n  name: h\n"),
            "f: yaml: unmarshal errors:\n  line 3: mapping key \"name\" already defined at line 2\n"
            "f: yaml: unmarshal errors:\n  line 3: mapping key \"name\" already defined at line "
            "2\n");
  EXPECT_EQ(errors("groups: [{name: g, foo: 1}]\n"),
            "f: yaml: unmarshal errors:\n  line 1: field foo not found in type "
            "rulefmt.RuleGroup\n");
  EXPECT_EQ(errors("groups: [{name: g, foo: 1}]\n", {.ignore_unknown_fields = true}), "");
  RuleFileOptions options;
  options.check_expression = [](std::string_view expression) {
    return expression == "up(" ? Status(ErrorCode::kInvalidInput, "1:4: parse error: no")
                               : Status();
  };
  options.check_template = [](std::string_view name, std::string_view text) {
    return text == "{{" ? MakeError(ErrorCode::kInvalidInput, "bad {}", name) : Status();
  };
  EXPECT_EQ(
      errors("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up(\n"
             "    labels: {l: '{{'}\n    annotations: {n: '{{'}\n",
             options),
      "f: 5:11: group \"g\", rule 1, \"A\": could not parse expression: 1:4: parse error: no\n"
      "f: group \"g\", rule 1, \"A\": label \"l\": bad __alert_A\n"
      "f: group \"g\", rule 1, \"A\": annotation \"n\": bad __alert_A\n");
  options.name_validation = NameValidation::kLegacy;
  EXPECT_EQ(errors("groups: [{name: g, labels: {__name__: x}, rules: [{record: a.b, expr: up, "
                   "labels: {c.d: e}}]}]\n",
                   options),
            "f: invalid label name: __name__\n"
            "f: 1:60: group \"g\", rule 1, \"a.b\": invalid recording rule name: a.b\n"
            "f: group \"g\", rule 1, \"a.b\": invalid label name: c.d\n");
}

TEST(WebConfig, ReadsStrictlyAndChecks) {
  const std::string hash = "$2b$12$1DpgBb6TpGkQxQ8ZGq7k2eZcb8.9ZPLR5AAS5x0d0n7JRsyV3m0ZK";
  const auto good = ParseWebConfig(
      "tls_server_config: {cert_file: c, key_file: k, client_auth_type: RequireClientCert,\n"
      "  min_version: TLS13, cipher_suites: [TLS_AES_128_GCM_SHA256], curve_preferences: "
      "[X25519]}\n"
      "http_server_config: {http2: false, headers: {X-Frame-Options: deny}}\n"
      "rate_limit: {burst: 3, interval: 1m0.5s}\nbasic_auth_users: {bob: " +
      hash + "}\n");
  ASSERT_TRUE(good.ok()) << good.status().message();
  EXPECT_TRUE(good->tls_server_config.is_enabled());
  EXPECT_TRUE(good->tls_server_config.Validate().ok());
  EXPECT_EQ(*good->tls_server_config.ParseClientAuthType(), ClientAuthType::kRequireAnyClientCert);
  EXPECT_EQ(good->tls_server_config.min_version, TlsVersion::kTls13);
  EXPECT_EQ(good->rate_limit.interval_nanos, 60'500'000'000);
  EXPECT_FALSE(good->http_server_config.http2);
  EXPECT_TRUE(good->ValidateUsers().ok());
  EXPECT_TRUE(ParseWebConfig("")->http_server_config.http2);
  EXPECT_FALSE(ParseWebConfig("")->tls_server_config.is_enabled());

  struct Case {
    std::string_view yaml, want;
  };
  for (const Case& c : {
           Case{"tls_server_configs: {}\n",
                "yaml: unmarshal errors:\n  line 1: field tls_server_configs not found in type "
                "web.Config"},
           Case{"tls_server_config: {min_version: TLS111}\n", "unknown TLS version: TLS111"},
           Case{"tls_server_config: {cipher_suites: [X]}\n", "unknown cipher: X"},
           Case{"tls_server_config: {curve_preferences: [X]}\n", "unknown curve: X"},
           Case{"http_server_config: {headers: {X-Other: a}}\n",
                "HTTP header \"X-Other\" can not be configured"},
           Case{"http_server_config: {headers: {X-Frame-Options: a}}\n",
                "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], "
                "but got: \"a\""},
           Case{"tls_server_config: {cert_file: a}\n", "missing one of key or key_file"},
           Case{"tls_server_config: {key_file: a}\n", "missing one of cert or cert_file"},
           Case{"tls_server_config: {cert: a, key: b, client_auth_type: X}\n",
                "invalid ClientAuth: X"},
           Case{"tls_server_config: {cert: a, key: b, client_ca: X}\n",
                "client CA's have been configured without a Client Auth Policy"},
           Case{"basic_auth_users: {a: b}\n",
                "crypto/bcrypt: hashedSecret too short to be a bcrypted password"},
       }) {
    const auto config = ParseWebConfig(c.yaml);
    Status status = config.status();
    if (status.ok() && config->tls_server_config.is_enabled()) {
      status = config->tls_server_config.Validate();
    }
    if (status.ok()) status = config->ValidateUsers();
    EXPECT_EQ(status.message(), c.want) << c.yaml;
  }
}

}  // namespace
}  // namespace narthex
