#include "apps/console_templates.h"

#include <algorithm>
#include <map>

#include "apps/alert_templates.h"
#include "gotmpl/prom_functions.h"
#include "net/url.h"
#include "util/file.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

// What templates can say instead of .Params and so on.
constexpr std::string_view kDefinitions =
    "{{$rawParams := .RawParams }}{{$params := .Params}}{{$path := .Path}}"
    "{{$externalLabels := .ExternalLabels}}";

net::HttpResponse Plain(int status, std::string_view text) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  response.headers.Add("X-Content-Type-Options", "nosniff");
  response.body = std::string(text) + "\n";
  return response;
}

// The dot of a console: RawParams, Params, Path, ExternalLabels.
gotmpl::Value ConsoleData(const net::FormValues& form, std::string_view path,
                          const Labels& external_labels) {
  using gotmpl::Kind;
  using gotmpl::Type;
  static const Type* const kValuesType = new Type{.name = "url.Values",
                                                  .kind = Kind::kMap,
                                                  .element = gotmpl::types::StringList(),
                                                  .methods = {}};
  static const Type* const kType =
      new Type{.name =
                   "struct { RawParams url.Values; Params map[string]string; Path string; "
                   "ExternalLabels map[string]string }",
               .kind = Kind::kStruct,
               .methods = {}};
  std::map<std::string, gotmpl::List> lists;
  std::map<std::string, std::string> firsts;
  for (const auto& [name, value] : form.pairs()) {
    lists[name].push_back(gotmpl::Value::String(value));
    firsts.emplace(name, value);
  }
  gotmpl::Map raw;
  for (auto& [name, values] : lists) {
    raw.emplace(name, gotmpl::Value::MakeList(std::move(values), gotmpl::types::StringList()));
  }
  auto data = std::make_shared<gotmpl::Struct>();
  data->fields = {
      {"RawParams", gotmpl::Value::MakeMap(std::move(raw), kValuesType)},
      {"Params", gotmpl::Value::StringMap(firsts)},
      {"Path", gotmpl::Value::String(std::string(path))},
      {"ExternalLabels", gotmpl::Value::StringMap(LabelMap(external_labels))},
  };
  return gotmpl::Value::MakeStruct(std::move(data), kType);
}

// Name and text of each library, in order.
Result<std::vector<std::pair<std::string, std::string>>> ReadLibraries(const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> libraries;
  const auto files = FileSystem::Posix().List(folder);
  if (!files.ok()) return libraries;  // A folder that is not there holds none.
  for (const FileInfo& file : *files) {
    if (file.is_directory || !file.name.ends_with(".lib")) continue;
    NARTHEX_TRY(std::string text, FileSystem::Posix().ReadAll(JoinPath(folder, file.name)));
    libraries.emplace_back(file.name, std::move(text));
  }
  return libraries;
}

}  // namespace

std::string ConsolesLink(const ConsoleOptions& options, const std::string& user_assets) {
  FileSystem& files = FileSystem::Posix();
  if (files.Stat(JoinPath(options.templates_folder, "index.html")).ok()) {
    return options.external_path + "/consoles/index.html";
  }
  if (!user_assets.empty() && files.Stat(JoinPath(user_assets, "index.html")).ok()) {
    return options.external_path + "/user/index.html";
  }
  return "";
}

net::HttpResponse RenderConsole(const ConsoleOptions& options, promql::Engine& engine,
                                storage::Queryable& store, const Labels& external_labels,
                                const std::string& path, const std::string& query) {
  std::string_view name = path;
  while (name.starts_with('/')) name.remove_prefix(1);
  for (const std::string_view part : Split(name, '/')) {
    // The router cleans paths; a file name that climbs all the same is none of ours.
    if (part == "..") return Plain(404, "404 page not found");
  }
  const std::string file = JoinPath(options.templates_folder, name);
  if (name.empty()) return Plain(500, "read " + options.templates_folder + ": is a directory");
  const Result<std::string> text = FileSystem::Posix().ReadAll(file);
  if (!text.ok()) {
    return Plain(text.status().code() == ErrorCode::kNotFound ? 404 : 500, text.status().message());
  }
  net::FormValues form;
  if (const Status status = form.Parse(query); !status.ok()) return Plain(400, status.message());
  const auto libraries = ReadLibraries(options.libraries_folder);
  if (!libraries.ok()) return Plain(500, libraries.status().message());

  gotmpl::ExpanderOptions expander;
  expander.time_ms = Clock::System().NowMillis();
  expander.external_url = options.external_url;
  expander.external_path = options.external_path;
  expander.query = TemplateQueries(engine, store);
  const gotmpl::Expander page("__console_" + path, std::string(kDefinitions) + *text,
                              ConsoleData(form, name, external_labels), std::move(expander));
  Result<std::string> html = page.ExpandHtml(*libraries);
  if (!html.ok()) return Plain(500, html.status().message());
  net::HttpResponse response;
  response.headers.Add("Content-Type", "text/html; charset=utf-8");
  response.body = *std::move(html);
  return response;
}

}  // namespace narthex::apps
