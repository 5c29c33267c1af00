// /targets/relabel_steps: what each relabelling rule makes of a label set.
#include <boost/json.hpp>

#include "web/api.h"
#include "web/params.h"

namespace narthex::web {

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
  if (error || !parsed.is_object()) {
    return MakeError(ErrorCode::kInvalidInput, "error parsing labels: {}",
                     error ? error.message() : "json: cannot unmarshal into labels");
  }
  LabelsBuilder builder;
  for (const auto& [name, value] : parsed.get_object()) {
    if (!value.is_string()) {
      return Status(ErrorCode::kInvalidInput,
                    "error parsing labels: json: cannot unmarshal into string");
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
