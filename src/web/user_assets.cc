// Files of --web.user-assets below /user/, as Go's file server shows them.
#include <algorithm>

#include "net/url.h"
#include "util/file.h"
#include "util/strings.h"
#include "web/response_writer.h"
#include "web/web_server.h"

namespace narthex::web {
namespace {

struct FileType {
  std::string_view extension;
  std::string_view content_type;
};
constexpr FileType kFileTypes[] = {
    {".css", "text/css; charset=utf-8"},
    {".gif", "image/gif"},
    {".htm", "text/html; charset=utf-8"},
    {".html", "text/html; charset=utf-8"},
    {".ico", "image/x-icon"},
    {".jpeg", "image/jpeg"},
    {".jpg", "image/jpeg"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".pdf", "application/pdf"},
    {".png", "image/png"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain; charset=utf-8"},
    {".wasm", "application/wasm"},
    {".webp", "image/webp"},
    {".xml", "text/xml; charset=utf-8"},
};

// By the name; else text, unless a byte tells that it is none.
std::string_view ContentTypeOf(std::string_view path, std::string_view contents) {
  for (const FileType& type : kFileTypes) {
    if (path.ends_with(type.extension)) return type.content_type;
  }
  constexpr size_t kSniffedBytes = 512;
  const std::string_view start = contents.substr(0, kSniffedBytes);
  const bool binary = std::any_of(start.begin(), start.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\x1b';
  });
  return binary ? "application/octet-stream" : "text/plain; charset=utf-8";
}

std::string ListFolder(const std::vector<FileInfo>& files) {
  std::string page =
      "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n";
  for (const FileInfo& file : files) {
    const std::string name = file.name + (file.is_directory ? "/" : "");
    std::string link;
    for (const std::string_view part : Split(file.name, '/')) link += net::PathEscape(part);
    if (file.is_directory) link += "/";
    page += "<a href=\"" + HtmlEscape(link) + "\">" + HtmlEscape(name) + "</a>\n";
  }
  return page + "</pre>\n";
}

}  // namespace

void WebServer::ServeUserAsset(net::HttpExchange& exchange, std::string_view path) const {
  // A path that climbs out of the folder is no path of ours.
  const std::vector<std::string_view> parts = Split(path, '/');
  const bool climbs = std::any_of(parts.begin(), parts.end(), [](std::string_view part) {
    return part == ".." || part.find('\0') != std::string_view::npos;
  });
  if (climbs) {
    RespondPlain(exchange, 404, "404 page not found");
    return;
  }
  FileSystem& files = FileSystem::Posix();
  std::string file = options_.user_assets + std::string(path);
  Result<FileInfo> info = files.Stat(file);
  if (info.ok() && info->is_directory) {
    if (!path.ends_with('/')) {
      RespondRedirect(exchange, 301, std::string(parts.back()) + "/");
      return;
    }
    const std::string index = file + "index.html";
    if (!files.Stat(index).ok()) {
      const auto listed = files.List(file);
      net::HttpResponse response;
      response.headers.Add("Content-Type", "text/html; charset=utf-8");
      if (listed.ok()) response.body = ListFolder(*listed);
      exchange.Respond(std::move(response));
      return;
    }
    file = index;
  }
  Result<std::string> contents = files.ReadAll(file);
  if (!contents.ok()) {
    RespondPlain(exchange, 404, "404 page not found");
    return;
  }
  net::HttpResponse response;
  response.headers.Add("Content-Type", std::string(ContentTypeOf(file, *contents)));
  response.body = *std::move(contents);
  exchange.Respond(std::move(response));
}

}  // namespace narthex::web
