// /targets/relabel_steps: what each relabelling rule makes of a label set.
#include <fmt/format.h>
#include <boost/json.hpp>

#include "web/api.h"
#include "web/params.h"

namespace narthex::web {
namespace {

// A JSON value's kind in the words of Go's decoder.
std::string_view KindName(const boost::json::value& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  return value.is_bool() ? "bool" : "number";
}

// Go names the character that cannot start a value; other mistakes are told by our parser.
std::string SyntaxErrorText(std::string_view text, std::string fallback) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return "unexpected end of JSON input";
  const char first = text[start];
  if (std::string_view("{[\"-0123456789tfn").find(first) == std::string_view::npos) {
    return fmt::format("invalid character '{}' looking for beginning of value", first);
  }
  return fallback;
}

}  // namespace

Status Api::RelabelSteps(Call& call) {
  const net::FormValues form = ParseQuery(call.request);
  const std::string pool(form.Get("scrapePool"));
  if (pool.empty()) {
    return Status(ErrorCode::kInvalidInput, "no scrapePool parameter provided");
  }
  const std::string_view text = form.Get("labels");
  if (text.empty()) return Status(ErrorCode::kInvalidInput, "no labels parameter provided");
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse({text.data(), text.size()}, error);
  if (error) {
    return MakeError(ErrorCode::kInvalidInput, "error parsing labels: {}",
                     SyntaxErrorText(text, error.message()));
  }
  if (!parsed.is_object() && !parsed.is_null()) {
    return MakeError(ErrorCode::kInvalidInput,
                     "error parsing labels: json: cannot unmarshal {} into Go value of type "
                     "map[string]string",
                     KindName(parsed));
  }
  LabelsBuilder builder;
  for (const auto& [name, value] : parsed.is_null() ? boost::json::object() : parsed.get_object()) {
    if (value.is_null()) continue;
    if (!value.is_string()) {
      return MakeError(ErrorCode::kInvalidInput,
                       "error parsing labels: json: cannot unmarshal {} into Go value of type "
                       "string",
                       KindName(value));
    }
    builder.Set(std::string_view(name.data(), name.size()),
                std::string_view(value.get_string().data(), value.get_string().size()));
  }
  Result<std::string> steps = sources_.relabel_steps(pool, builder.Build());
  if (!steps.ok()) {
    return Status(ErrorCode::kInvalidInput,
                  "error retrieving scrape config: " + steps.status().message());
  }
  call.writer.buffer().append(*steps);
  return {};
}

}  // namespace narthex::web
