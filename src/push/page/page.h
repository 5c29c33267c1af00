// The Pushgateway's web page: three small files, embedded in the executable as they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace narthex::push {

// index.html; `admin` shows what the admin API allows.
std::string PageHtml(bool admin);

struct PageFile {
  std::string_view content;
  std::string_view content_type;
};
// `path`: "/page.js", "/page.css".
std::optional<PageFile> FindPageFile(std::string_view path);

}  // namespace narthex::push
