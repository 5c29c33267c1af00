// Templates of alerting rules: labels and annotations with queries, labels and values filled in.
#pragma once

#include <string>
#include <string_view>

#include "promql/engine/engine.h"
#include "rules/rule.h"
#include "storage/storage.h"
#include "util/status.h"

namespace narthex::apps {

// Whether the text is a template; nothing is run.
Status CheckAlertTemplate(std::string_view name, std::string_view text);

Result<std::string> ExpandAlertTemplate(promql::Engine& engine, storage::Queryable& store,
                                        std::string_view name, std::string_view text,
                                        const rules::TemplateData& data);

}  // namespace narthex::apps
