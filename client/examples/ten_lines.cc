// The least that gives a scraped metric: a counter, and a page of it on port 8080.
#include <narthex/client.h>
#include <narthex/client/exposer.h>

#include <thread>

static narthex::client::Counter ticks{"ticks_total", "Seconds that this program has seen."};

int main() {
  const auto exposer =
      narthex::client::Exposer::Start(":8080", narthex::client::Registry::Default());
  for (; exposer.ok(); ticks.Inc()) std::this_thread::sleep_for(std::chrono::seconds(1));
}
