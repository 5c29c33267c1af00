// Templates of alerting rules: labels and annotations with queries, labels and values filled in.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "gotmpl/prom_functions.h"
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

// What templates of any kind need: queries, and labels as a map.
gotmpl::QueryFunction TemplateQueries(promql::Engine& engine, storage::Queryable& store);
std::map<std::string, std::string> LabelMap(const Labels& labels);

}  // namespace narthex::apps
