// Metrics in a file, for the textfile collector of a node exporter.
#pragma once

#include <string>

#include "narthex/client/registry.h"
#include "narthex/client/status.h"

namespace narthex::client {

// Writes the page in the text format beside `path` and renames it, so that readers see the old page
// or the new one. Nothing is written when collecting left something out. `path` should end with
// `.prom`. Any thread; of two that write the same file the later one stays.
Status WriteTextfile(const Gatherable& source, const std::string& path);

}  // namespace narthex::client
