// Reads arbitrary text as a configuration, a rule file and relabelling rules. What is accepted must
// print, and its print must be accepted again and print the same.
#include <cstddef>
#include <cstdint>

#include "config/config.h"
#include "config/rule_file.h"
#include "util/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ConfigLoadOptions options;
  // Variables stand for themselves, so that printing and reading again changes nothing.
  options.environment = [](const std::string& name) {
    return name == "GOGC" ? std::string() : "$$" + name;
  };
  const Result<Config> config = ParseConfig(text, options);
  // Hidden secrets and passwords may make a print that does not load; all else must.
  const bool hides_secrets =
      text.find("secret") != std::string_view::npos ||
      text.find("password") != std::string_view::npos ||
      text.find("token") != std::string_view::npos || text.find("key") != std::string_view::npos ||
      text.find("url") != std::string_view::npos || text.find('$') != std::string_view::npos;
  if (config.ok() && !hides_secrets) {
    const std::string printed = PrintConfig(*config);
    const Result<Config> again = ParseConfig(printed, options);
    NARTHEX_CHECK(again.ok());
    NARTHEX_CHECK(PrintConfig(*again) == printed);
  }
  const RuleFileResult rules = ParseRuleFile("fuzz", text, {});
  (void)rules;
  (void)ParseRelabelConfigs(text, NameValidation::kUtf8).ok();
  (void)ParseStaticGroups(text).ok();
  (void)ParseHttpClientConfig(text).ok();
  return 0;
}
