// A node exporter: what the kernel tells about this machine, under node_exporter's names, so that
// dashboards and alerts made for it work here.
//
// Collectors: cpu, diskstats, filefd, filesystem, loadavg, meminfo, netdev, stat, time, uname,
// vmstat. One that fails is reported (node_scrape_collector_success) and stops no other.
// Specification: parity/exporters.md section 4.
//
// Threads: Collect from any, several at a time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "narthex/client/collector.h"
#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::exporters::node {

struct NodeOptions {
  std::string procfs = "/proc";
  std::string rootfs = "/";
  FileSystem* files = &FileSystem::Posix();
  Clock* clock = &Clock::System();
};

class NodeCollector : public client::Collector {
 public:
  explicit NodeCollector(NodeOptions options = {});
  // Unchecked: which families there are depends on the machine.
  void Describe(std::vector<client::Description>&) const override {}
  void Collect(std::vector<client::MetricFamily>& out) override;

 private:
  class Page;
  Status Cpu(Page& page) const;
  Status DiskStats(Page& page) const;
  Status FileDescriptors(Page& page) const;
  Status FileSystems(Page& page) const;
  Status LoadAverage(Page& page) const;
  Status MemoryInfo(Page& page) const;
  Status NetworkDevices(Page& page) const;
  Status KernelStatistics(Page& page) const;
  Status Time(Page& page) const;
  Status UnixName(Page& page) const;
  Status VirtualMemory(Page& page) const;
  Result<std::string> Read(std::string_view path) const;

  const NodeOptions options_;
};

}  // namespace narthex::exporters::node
