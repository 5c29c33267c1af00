// Answering requests of other HTTP servers with a page of metrics.
//
// Boost.Beast (or any library whose messages have its shape):
//
//   namespace http = boost::beast::http;
//   http::response<http::string_body> response{http::status::ok, request.version()};
//   AnswerBeast(handler, request, response);
//
// Any other: MetricsHandler::Handle(accept, accept_encoding) in handler.h, which gives status,
// headers and body; or without the HTTP component and without gzip, Scrape() in exposition.h, which
// gives content type and body for an Accept header.
//
// Threads: all; a request and its response belong to one.
#pragma once

#include <string_view>

#include "narthex/client/handler.h"

namespace narthex::client {

template <typename Text>
std::string_view AsStringView(const Text& text) {
  return {text.data(), text.size()};
}

// Fills `response` (status, headers, body, its size) with the page that `request` asks for.
template <typename Request, typename Response>
void AnswerBeast(MetricsHandler& handler, const Request& request, Response& response) {
  HttpRequest asked;
  asked.method = AsStringView(request.method_string());
  asked.headers = {{"Accept", std::string(AsStringView(request["Accept"]))},
                   {"Accept-Encoding", std::string(AsStringView(request["Accept-Encoding"]))}};
  HttpResponse page = handler.Handle(asked);
  response.result(static_cast<unsigned>(page.status));
  for (const LabelPair& header : page.headers) response.set(header.name, header.value);
  response.keep_alive(request.keep_alive());
  response.body() = std::move(page.body);
  response.prepare_payload();
}

}  // namespace narthex::client
