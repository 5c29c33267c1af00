// Any text may come as a template of a rule or a notification. It must parse or fail with an error
// that names the template, and execute within its bounds.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gotmpl/prom_functions.h"
#include "gotmpl/time_value.h"
#include "util/check.h"

using namespace narthex;          // NOLINT: one small program.
using namespace narthex::gotmpl;  // NOLINT

namespace {

Value Data() {
  Map data;
  data["s"] = Value::String("<a&'\">");
  data["i"] = Value::Int(-5);
  data["f"] = Value::Float(1e21);
  data["n"] = Value::Nil();
  data["l"] = Value::MakeList({Value::Int(1), Value::Nil(), Value::String("x")});
  data["m"] = Value::StringMap({{"job", "node"}});
  data["t"] = MakeTime(1'709'211'845'678'900'000);
  data["d"] = MakeDuration(90'000'000'000);
  return Value::MakeMap(std::move(data));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  ExpanderOptions options;
  options.missing_key = static_cast<MissingKey>(data[0] % 3);
  options.limits = {.output_bytes_max = 1 << 16, .steps_max = 2000};
  options.query = [](std::string_view, int64_t) -> Result<std::vector<QuerySample>> {
    return std::vector<QuerySample>{{Labels{{"instance", "a"}}, 1.5, nullptr}};
  };
  const Expander expander("fuzz", text, Data(), options);
  const Result<std::string> plain = expander.Expand();
  if (plain.ok()) {
    NARTHEX_CHECK(plain->size() <= options.limits.output_bytes_max);
  } else {
    NARTHEX_CHECK(plain.status().message().find("fuzz") != std::string::npos);
  }
  (void)expander.ExpandHtml().ok();
  return 0;
}
