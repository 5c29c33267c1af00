// Console templates: pages in Go's template language that users keep beside their configuration
// (--web.console.templates, --web.console.libraries).
#pragma once

#include <string>

#include "model/labels.h"
#include "net/http_server.h"
#include "promql/engine/engine.h"
#include "storage/storage.h"

namespace narthex::apps {

struct ConsoleOptions {
  std::string templates_folder;
  std::string libraries_folder;
  std::string external_url;
  std::string external_path;
};

// The path of the page that the UI links to: index.html among the templates or the user's assets;
// empty when there is none.
std::string ConsolesLink(const ConsoleOptions& options, const std::string& user_assets);

// The page at `path` ("/node.html"), which sees the parameters of `query`. 404: no such file; 500:
// the template does not parse or fails, with the text of the error.
net::HttpResponse RenderConsole(const ConsoleOptions& options, promql::Engine& engine,
                                storage::Queryable& store, const Labels& external_labels,
                                const std::string& path, const std::string& query);

}  // namespace narthex::apps
