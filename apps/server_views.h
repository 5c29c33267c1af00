// How the engines look to the HTTP API and to /metrics.
#pragma once

#include "apps/self_metrics.h"
#include "apps/server_options.h"
#include "notifier/notifier.h"
#include "promql/parser/parser.h"
#include "rules/manager.h"
#include "scrape/scrape_manager.h"
#include "web/api_sources.h"

namespace narthex::apps {

promql::ParserOptions ParserOptionsOf(const Features& features);

std::vector<web::RuleGroupView> ViewRules(const rules::Manager& manager);
web::TargetsView ViewTargets(const scrape::ScrapeManager& manager);
std::vector<web::TargetMetadataView> ViewTargetMetadata(const scrape::ScrapeManager& manager);

void ReadScrape(const scrape::ScrapeManager& manager, FamilyBuilder& families);

// JSON of /targets/relabel_steps.
std::string RelabelStepsJson(const ScrapeConfig& config, const Labels& labels);

}  // namespace narthex::apps
