// The answer of /api/v1/query_explain; docs/explain.md says what each member means.
#pragma once

#include <string_view>

#include "promql/engine/explain.h"
#include "web/json_writer.h"

namespace narthex::web {

void WriteExplanation(std::string_view query, const promql::Explanation& explanation,
                      JsonWriter& json);

}  // namespace narthex::web
