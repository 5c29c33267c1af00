// Exposes a counter, fetches nothing, and shows that the TLS component is there.
#include <iostream>

#include <narthex/client.h>
#include <narthex/client/exposer.h>
#include <narthex/client/push.h>
#include <narthex/client/tls.h>

int main() {
  using namespace narthex::client;
  auto exposer = Exposer::Start("127.0.0.1:0", Registry::Default());
  if (!exposer.ok() || (*exposer)->port() == 0) return 1;
  const auto tls = MakeTlsServer({"absent.crt", "absent.key", ""});
  if (tls.ok()) return 1;
  PushOptions options;
  options.url = "gateway:9091";
  options.job = "a/b";
  std::cout << Pusher(options).Url() << "\n";
}
