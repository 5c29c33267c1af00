// What every process says of itself: CPU time, memory, file descriptors, network, start time.
//
//   registry.Register(MakeProcessCollector());
//
// Reads /proc on each collection (five small files and one folder, about 100 µs). What the system
// does not give is left out. Units: seconds and bytes, as the names say.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "narthex/client/collector.h"
#include "narthex/client/gauge.h"

namespace narthex::client {

struct ProcessCollectorOptions {
  std::string name_space = {};    // Put before the names: myapp -> myapp_process_….
  std::function<int()> pid = {};  // Empty: this process.
  std::string proc_path = "/proc";
  // process_threads and process_heap_bytes (of this process' malloc), which client_golang lacks.
  bool extended = false;
};

std::shared_ptr<Collector> MakeProcessCollector(ProcessCollectorOptions options = {});

// What the program runs on: `cpp_info`, which names compiler, C++ standard, C library, kernel and
// architecture, and the allocator's bytes `cpp_malloc_…_bytes`, in use, free, from the heap and
// mapped.
std::shared_ptr<Collector> MakePlatformCollector();

// A gauge `<prefix>_build_info` that is 1 and says in its labels what was built.
//   BuildInfo(registry, "myapp", {{"version", "1.2"}, {"revision", "abc"}});
Gauge BuildInfo(Registry& registry, const std::string& prefix, Labels labels);

}  // namespace narthex::client
