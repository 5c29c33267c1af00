#include "web/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "net/forwarding_exchange.h"
#include "net/url.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"
#include "util/trace.h"

namespace narthex::web {
namespace {

// Under the caller's span if it names one; the attributes are OpenTelemetry's for HTTP servers.
TraceSpan SpanOf(const net::HttpRequest& request) {
  const std::optional<TraceContext> parent = ParseTraceparent(request.headers.Get("traceparent"));
  TraceSpan span(request.method + " " + request.path, SpanKind::kServer,
                 parent.value_or(TraceContext()));
  if (!span.recording()) return span;
  span.Set("http.request.method", request.method);
  span.Set("url.scheme", "http");
  span.Set("url.path", request.path);
  span.Set("server.address", std::string(request.headers.Get("Host")));
  const size_t colon = request.remote_address.rfind(':');
  span.Set("network.peer.address", request.remote_address.substr(0, colon));
  if (colon != std::string::npos) {
    span.Set("network.peer.port", ParseInt(request.remote_address.substr(colon + 1)).value_or(0));
  }
  if (const std::string_view agent = request.headers.Get("User-Agent"); !agent.empty()) {
    span.Set("user_agent.original", std::string(agent));
  }
  return span;
}

// Passes everything on, and tells the observer and the request's span when the answer is complete.
class ObservedExchange : public net::ForwardingExchange {
 public:
  ObservedExchange(std::shared_ptr<net::HttpExchange> inner, const std::string& pattern,
                   const Router::Observer& observer)
      : ForwardingExchange(std::move(inner)),
        pattern_(pattern),
        observer_(observer),
        start_nanos_(MonotonicNanos()),
        span_(SpanOf(request())) {}

  const TraceContext& trace() const { return span_.context(); }

  void Respond(net::HttpResponse response) override {
    status_ = response.status;
    bytes_ = response.body.size();
    Observe();
    ForwardingExchange::Respond(std::move(response));
  }
  void StartStream(net::HttpResponse response) override {
    status_ = response.status;
    bytes_ = response.body.size();
    ForwardingExchange::StartStream(std::move(response));
  }
  Status Write(std::string part) override {
    bytes_ += part.size();
    return ForwardingExchange::Write(std::move(part));
  }
  bool TryWrite(std::string part) override {
    bytes_ += part.size();
    return ForwardingExchange::TryWrite(std::move(part));
  }
  void Finish() override {
    Observe();
    ForwardingExchange::Finish();
  }

 private:
  void Observe() {
    const double seconds = static_cast<double>(MonotonicNanos() - start_nanos_) / 1e9;
    observer_(pattern_, status_, seconds, bytes_);
    if (!span_.recording()) return;
    span_.Set("http.response.status_code", int64_t{status_});
    span_.Set("http.response.body.size", static_cast<int64_t>(bytes_));
    if (status_ >= 500) span_.SetError("");
    span_.End();
  }

  const std::string& pattern_;        // Of the router's route.
  const Router::Observer& observer_;  // The router's.
  const int64_t start_nanos_;
  int status_ = 200;
  std::atomic<size_t> bytes_{0};
  TraceSpan span_;
};

// Without double slashes, "." and ".."; a slash at the end stays. As Go's ServeMux cleans paths.
std::string CleanPath(std::string_view path) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string clean;
  for (const std::string_view part : parts) clean.append("/").append(part);
  const bool folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
  if (folder || clean.empty()) clean.push_back('/');
  return clean;
}

std::string WithQuery(std::string path, std::string_view query) {
  if (!query.empty()) path.append("?").append(query);
  return path;
}

}  // namespace

void RespondPlain(net::HttpExchange& exchange, int status, std::string_view text) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  if (status >= 400) response.headers.Add("X-Content-Type-Options", "nosniff");
  response.body = std::string(text);
  if (status >= 400) response.body.push_back('\n');
  exchange.Respond(std::move(response));
}

void RespondRedirect(net::HttpExchange& exchange, int status, std::string_view location) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Add("Location", std::string(location));
  // Go's http.Redirect adds a page for those who look, and only for them.
  const std::string& method = exchange.request().method;
  if (method == "GET" || method == "HEAD") {
    response.headers.Add("Content-Type", "text/html; charset=utf-8");
  }
  if (method == "GET") {
    response.body = fmt::format("<a href=\"{}\">{}</a>.\n\n", HtmlEscape(location),
                                net::HttpStatusText(status));
  }
  exchange.Respond(std::move(response));
}

std::string HtmlEscape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

void Router::Handle(std::vector<std::string> methods, std::string pattern, Handler handler) {
  Route route{std::move(methods), std::move(pattern), {}, std::move(handler)};
  for (const std::string_view part : Split(route.pattern, '/')) route.parts.emplace_back(part);
  routes_.push_back(std::move(route));
}

std::vector<std::pair<std::string, std::string>> Router::Routes() const {
  std::vector<std::pair<std::string, std::string>> routes;
  for (const Route& route : routes_) {
    for (const std::string& method : route.methods) routes.emplace_back(method, route.pattern);
  }
  return routes;
}

bool Router::Match(const Route& route, const std::vector<std::string_view>& parts,
                   PathParameters* parameters) {
  parameters->clear();
  for (size_t i = 0; i < route.parts.size(); ++i) {
    const std::string& want = route.parts[i];
    if (want.starts_with('*')) {
      // `/assets/*file` does not match `/assets`, which is redirected to `/assets/`.
      if (i >= parts.size()) return false;
      std::string rest;
      for (size_t j = i; j < parts.size(); ++j) rest += "/" + std::string(parts[j]);
      parameters->emplace_back(want.substr(1), std::move(rest));
      return true;
    }
    if (i >= parts.size()) return false;
    if (want.starts_with(':')) {
      if (parts[i].empty()) return false;
      parameters->emplace_back(want.substr(1), std::string(parts[i]));
    } else if (want != parts[i]) {
      return false;
    }
  }
  return parts.size() == route.parts.size();
}

const Router::Route* Router::Find(std::string_view path, std::string_view method,
                                  PathParameters* parameters,
                                  std::vector<std::string>* allowed) const {
  const std::vector<std::string_view> parts = Split(path, '/');
  for (const Route& route : routes_) {
    if (!Match(route, parts, parameters)) continue;
    if (std::find(route.methods.begin(), route.methods.end(), method) != route.methods.end()) {
      return &route;
    }
    allowed->insert(allowed->end(), route.methods.begin(), route.methods.end());
  }
  return nullptr;
}

// The path of a route that differs in its last slash or in the case of its fixed parts.
std::string Router::FindNear(const std::string& path, std::string_view method) const {
  if (path.size() <= 1 || method == "OPTIONS") return "";
  std::string other = path;
  if (other.ends_with('/')) {
    other.pop_back();
  } else {
    other.push_back('/');
  }
  std::string near;
  PathParameters parameters;
  std::vector<std::string> ignored;
  if (Find(other, method, &parameters, &ignored) != nullptr) {
    near = std::move(other);
  } else {
    const std::vector<std::string_view> parts = Split(path, '/');
    for (const Route& route : routes_) {
      const bool has_method =
          std::find(route.methods.begin(), route.methods.end(), method) != route.methods.end();
      near = has_method ? PathInRoutesCase(route, parts) : "";
      if (!near.empty()) break;
    }
  }
  // Below this prefix upstream has a router of its own: its redirects know nothing of the prefix,
  // and the prefix itself must be written as it is.
  if (!redirect_prefix_.empty() && near.starts_with(redirect_prefix_ + "/")) {
    if (!path.starts_with(redirect_prefix_ + "/")) return "";
    near.erase(0, redirect_prefix_.size());
  }
  return near;
}

std::string Router::PathInRoutesCase(const Route& route,
                                     const std::vector<std::string_view>& parts) {
  if (route.parts.size() != parts.size() || route.parts.back().starts_with('*')) return "";
  std::string path;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string& want = route.parts[i];
    const bool parameter = want.starts_with(':');
    if (!parameter && ToLower(want) != ToLower(parts[i])) return "";
    if (i > 0) path.push_back('/');
    path.append(parameter ? parts[i] : want);
  }
  return path;
}

void Router::Serve(std::shared_ptr<net::HttpExchange> exchange) const {
  const net::HttpRequest& request = exchange->request();
  // Routes are found by the decoded path: an escaped slash is a slash.
  const Result<std::string> decoded = net::UrlDecode(request.path, false);
  if (!decoded.ok()) {
    // Go's server answers before any handler could: no line end.
    net::HttpResponse response;
    response.status = 400;
    response.headers.Add("Content-Type", "text/plain; charset=utf-8");
    response.body = "400 Bad Request";
    exchange->Respond(std::move(response));
    return;
  }
  const std::string& path = *decoded;
  const std::string clean = CleanPath(path);
  if (clean != path) {
    RespondRedirect(*exchange, 307, WithQuery(clean, request.query));
    return;
  }
  PathParameters parameters;
  std::vector<std::string> allowed;
  if (const Route* route = Find(path, request.method, &parameters, &allowed)) {
    if (observer_) {
      auto observed =
          std::make_shared<ObservedExchange>(std::move(exchange), route->pattern, observer_);
      const TraceScope scope(observed->trace());
      route->handler(std::move(observed), parameters);
      return;
    }
    route->handler(std::move(exchange), parameters);
    return;
  }
  if (path == redirect_prefix_) {
    RespondRedirect(*exchange, 307, WithQuery(path + "/", request.query));
    return;
  }
  if (const std::string better = FindNear(path, request.method); !better.empty()) {
    RespondRedirect(*exchange, request.method == "GET" ? 301 : 307,
                    WithQuery(better, request.query));
    return;
  }
  // A pattern for OPTIONS alone, over a whole subtree, says nothing about whether a path exists.
  const bool exists = std::any_of(allowed.begin(), allowed.end(),
                                  [](const std::string& method) { return method != "OPTIONS"; });
  if (exists) {
    allowed.emplace_back("OPTIONS");
    std::sort(allowed.begin(), allowed.end());
    allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
    net::HttpResponse response;
    response.headers.Add("Allow", Join(allowed, ", "));
    if (request.method != "OPTIONS") {
      response.status = 405;
      response.headers.Add("Content-Type", "text/plain; charset=utf-8");
      response.headers.Add("X-Content-Type-Options", "nosniff");
      response.body = "Method Not Allowed\n";
    }
    exchange->Respond(std::move(response));
    return;
  }
  if (not_found_) {
    not_found_(std::move(exchange), {});
    return;
  }
  RespondPlain(*exchange, 404, "404 page not found");
}

}  // namespace narthex::web
