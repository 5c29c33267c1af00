// Needs the core alone: prints a page.
#include <iostream>

#include <narthex/client.h>

int main() {
  narthex::client::Registry registry;
  const narthex::client::Counter jobs(registry, {"jobs_total", "Jobs done."});
  jobs.Inc(2);
  std::cout << narthex::client::Scrape(registry, "").body;
}
