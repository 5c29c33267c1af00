// Which handler answers a path, with httprouter's manners: 404, 405 with Allow, redirects for a
// slash too many or too few, for letters of the wrong case and for paths that are not clean.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_server.h"

namespace narthex::web {

// Values of `:name` and `*rest` parts of the matched pattern.
using PathParameters = std::vector<std::pair<std::string, std::string>>;

class Router {
 public:
  using Handler =
      std::function<void(std::shared_ptr<net::HttpExchange>, const PathParameters& parameters)>;

  // `pattern`: "/api/v1/label/:name/values", "/assets/*file" (the last part takes the rest).
  void Handle(std::vector<std::string> methods, std::string pattern, Handler handler);
  // Called for paths that match nothing; by default a plain 404.
  void SetNotFound(Handler handler) { not_found_ = std::move(handler); }

  // What redirects below this path leave out ("/prefix/api/v1").
  void SetRedirectPrefix(std::string prefix) { redirect_prefix_ = std::move(prefix); }

  // Told of every answer of a route: its pattern, status, seconds, bytes of the body. Any thread.
  using Observer =
      std::function<void(const std::string& pattern, int status, double seconds, size_t bytes)>;
  void SetObserver(Observer observer) { observer_ = std::move(observer); }

  // Method and pattern of every route.
  std::vector<std::pair<std::string, std::string>> Routes() const;

  void Serve(std::shared_ptr<net::HttpExchange> exchange) const;

 private:
  struct Route {
    std::vector<std::string> methods;
    std::string pattern;
    std::vector<std::string> parts;
    Handler handler;
  };
  static bool Match(const Route& route, const std::vector<std::string_view>& parts,
                    PathParameters* parameters);
  static std::string PathInRoutesCase(const Route& route,
                                      const std::vector<std::string_view>& parts);
  std::string FindNear(const std::string& path, std::string_view method) const;
  const Route* Find(std::string_view path, std::string_view method, PathParameters* parameters,
                    std::vector<std::string>* allowed) const;

  std::vector<Route> routes_;
  Handler not_found_;
  std::string redirect_prefix_;
  Observer observer_;
};

// Plain-text answers as Go's http.Error writes them.
void RespondPlain(net::HttpExchange& exchange, int status, std::string_view text);
void RespondRedirect(net::HttpExchange& exchange, int status, std::string_view location);
std::string HtmlEscape(std::string_view text);

}  // namespace narthex::web
