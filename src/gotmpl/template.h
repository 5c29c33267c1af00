// Go's text/template, and html/template's escaping by context.
//
//   Template page("page", MyFunctions(), {.missing_key = MissingKey::kZero});
//   NARTHEX_RETURN_IF_ERROR(page.Parse("{{ .Labels.job }} is down"));
//   NARTHEX_TRY(std::string text, page.Execute(data));
//
// Error texts are Go's. Execution is bounded in output, steps and depth, so that a template that
// somebody else wrote cannot hold the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "gotmpl/parser.h"
#include "gotmpl/value.h"
#include "util/status.h"

namespace narthex::gotmpl {

// What a missing key of a map gives; Go's option missingkey.
enum class MissingKey : uint8_t { kInvalid, kZero, kError };

struct ExecutionLimits {
  size_t output_bytes_max = size_t{16} << 20;
  uint64_t steps_max = 10'000'000;  // Nodes executed.
  int64_t time_ns_max = 10'000'000'000;
  std::stop_token stop;
};

struct TemplateOptions {
  MissingKey missing_key = MissingKey::kInvalid;
  // Values are escaped for the place in the HTML page where they stand.
  bool html = false;
  ExecutionLimits limits;
};

class Template {
 public:
  // `functions` come on top of Go's own and win over them.
  Template(std::string name, FunctionMap functions, TemplateOptions options = {});
  ~Template();
  Template(const Template&) = delete;
  Template& operator=(const Template&) = delete;

  void AddFunction(std::shared_ptr<const Function> function);

  // Adds the text under the template's name with everything that it defines. Later texts override
  // what earlier ones defined.
  Status Parse(std::string_view text) { return ParseAs(name_, text); }
  // The same under another name, as ParseFiles does with the name of the file.
  Status ParseAs(std::string_view name, std::string_view text);

  // Threads: after the last Parse any number may execute.
  Result<std::string> Execute(const Value& data) const { return ExecuteTemplate(name_, data); }
  Result<std::string> ExecuteTemplate(std::string_view name, const Value& data) const;

  const std::string& name() const { return name_; }
  bool Defines(std::string_view name) const { return trees_.contains(name); }
  std::vector<std::string> DefinedNames() const;

 private:
  std::string name_;
  FunctionMap functions_;
  TemplateOptions options_;
  TreeSet trees_;
};

}  // namespace narthex::gotmpl
