#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "prometheus/collectable.h"

struct CivetCallbacks;

namespace prometheus {

// An HTTP server for collectables. Not civetweb: of its options `listening_ports` and `num_threads`
// are known, others throw, and so do callbacks. Answers every format and compression that
// narthex::client::Exposer does.
class Exposer {
 public:
  // `bind_address`: host:port or a port, several separated by commas. Throws std::runtime_error
  // when an address cannot be had.
  explicit Exposer(const std::string& bind_address, std::size_t num_threads = 2,
                   const CivetCallbacks* callbacks = nullptr);
  explicit Exposer(std::vector<std::string> options, const CivetCallbacks* callbacks = nullptr);
  ~Exposer();
  Exposer(const Exposer&) = delete;
  Exposer& operator=(const Exposer&) = delete;

  void RegisterCollectable(const std::weak_ptr<Collectable>& collectable,
                           const std::string& uri = "/metrics");
  void RegisterAuth(std::function<bool(const std::string&, const std::string&)> authenticate,
                    const std::string& realm = "Prometheus-cpp Exporter",
                    const std::string& uri = "/metrics");
  void RemoveCollectable(const std::weak_ptr<Collectable>& collectable,
                         const std::string& uri = "/metrics");
  std::vector<int> GetListeningPorts() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace prometheus
