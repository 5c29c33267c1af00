// For programs with an HTTP server of their own: one function from headers to a page. Here the
// "server" is the command line.
//
//   any_server [ACCEPT]
#include <narthex/client.h>

#include <cstdio>

int main(int argc, char** argv) {
  narthex::client::Registry registry;
  const narthex::client::Family<narthex::client::Counter> requests(
      registry, {"requests_total", "Requests."}, {"path"});
  requests.WithLabels({"/"}).Inc();
  const narthex::client::ScrapeResponse page =
      narthex::client::Scrape(registry, argc > 1 ? argv[1] : "");
  std::printf("Content-Type: %s\n\n%s", page.content_type.c_str(), page.body.c_str());
  return page.errors.empty() ? 0 : 1;
}
