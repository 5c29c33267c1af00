#include "push/page/page.h"

// The assembler takes the files in: no generator, and one copy of each.
extern "C" {
extern const char narthex_push_index_begin[], narthex_push_index_end[];
extern const char narthex_push_css_begin[], narthex_push_css_end[];
extern const char narthex_push_js_begin[], narthex_push_js_end[];
}

namespace narthex::push {
namespace {

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

std::string PageHtml(bool admin) {
  constexpr std::string_view kMark = "\"ADMIN\"";
  std::string html(Between(narthex_push_index_begin, narthex_push_index_end));
  html.replace(html.find(kMark), kMark.size(), admin ? "\"true\"" : "\"false\"");
  return html;
}

std::optional<PageFile> FindPageFile(std::string_view path) {
  if (path == "/page.css") {
    return PageFile{Between(narthex_push_css_begin, narthex_push_css_end),
                    "text/css; charset=utf-8"};
  }
  if (path == "/page.js") {
    return PageFile{Between(narthex_push_js_begin, narthex_push_js_end),
                    "text/javascript; charset=utf-8"};
  }
  return std::nullopt;
}

}  // namespace narthex::push
