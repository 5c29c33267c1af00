#include "exporters/node/node_exporter.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "exporters/node/page.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exporters::node {
namespace {

constexpr double kSectorBytes = 512;

std::vector<std::string> Words(std::string_view line) {
  std::istringstream stream{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

Result<double> Number(std::string_view text) {
  if (const std::optional<double> value = ParseFloat(text)) return *value;
  return MakeError(ErrorCode::kInvalidInput, "couldn't parse {}: invalid syntax", GoQuote(text));
}

// Of /proc/vmstat, what node_exporter shows by default.
bool IsShownVmstat(std::string_view name) {
  return name == "oom_kill" || name.starts_with("pgpg") || name.starts_with("pswp") ||
         (name.starts_with("pg") && name.find("fault") != std::string_view::npos);
}

// Partitions and memory disks: loop0, ram1, sda1, vdb2, nvme0n1p1, fd0.
bool IsIgnoredDisk(std::string_view name) {
  const size_t digits = name.find_last_not_of("0123456789") + 1;
  if (digits == name.size()) return false;
  const std::string_view stem = name.substr(0, digits);
  if (stem == "ram" || stem == "zram" || stem == "loop" || stem == "fd") return true;
  if (stem.starts_with("nvme") && stem.ends_with('p')) {
    return stem.find('n', 4) != std::string_view::npos;
  }
  std::string_view rest = stem;
  for (const std::string_view prefix : {"hd", "sd", "vd", "xvd"}) {
    if (rest.starts_with(prefix) && rest.size() == prefix.size() + 1) return true;
  }
  return false;
}

}  // namespace

NodeCollector::NodeCollector(NodeOptions options) : options_(std::move(options)) {}

Result<std::string> NodeCollector::Read(std::string_view path) const {
  return options_.files->ReadAll(JoinPath(options_.procfs, path));
}

void NodeCollector::Collect(std::vector<client::MetricFamily>& out) {
  struct Entry {
    const char* name;
    Status (NodeCollector::*run)(Page&) const;
  };
  constexpr Entry kCollectors[] = {
      {"cpu", &NodeCollector::Cpu},
      {"diskstats", &NodeCollector::DiskStats},
      {"filefd", &NodeCollector::FileDescriptors},
      {"filesystem", &NodeCollector::FileSystems},
      {"loadavg", &NodeCollector::LoadAverage},
      {"meminfo", &NodeCollector::MemoryInfo},
      {"netdev", &NodeCollector::NetworkDevices},
      {"stat", &NodeCollector::KernelStatistics},
      {"time", &NodeCollector::Time},
      {"uname", &NodeCollector::UnixName},
      {"vmstat", &NodeCollector::VirtualMemory},
  };
  Page page(out);
  for (const Entry& entry : kCollectors) {
    const int64_t started = MonotonicNanos();
    const Status status = (this->*entry.run)(page);
    if (!status.ok()) {
      LOG_ERROR("collector failed", {"name", entry.name}, {"err", status.message()});
    }
    const client::Labels labels = {{"collector", entry.name}};
    page.Gauge("node_scrape_collector_duration_seconds",
               "node_exporter: Duration of a collector scrape.",
               static_cast<double>(MonotonicNanos() - started) / 1e9, labels);
    page.Gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.",
               status.ok() ? 1 : 0, labels);
  }
}

Status NodeCollector::Cpu(Page& page) const {
  constexpr std::array<const char*, 8> kModes = {"user",   "nice", "system",  "idle",
                                                 "iowait", "irq",  "softirq", "steal"};
  constexpr std::array<const char*, 2> kGuestModes = {"user", "nice"};
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  NARTHEX_TRY(const std::string text, Read("stat"));
  for (const std::string_view line : Split(text, '\n')) {
    if (!line.starts_with("cpu") || line.starts_with("cpu ")) continue;
    const std::vector<std::string> words = Words(line);
    const std::string cpu = words[0].substr(3);
    for (size_t i = 0; i < kModes.size() && i + 1 < words.size(); ++i) {
      NARTHEX_TRY(const double value, Number(words[i + 1]));
      page.Counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", value / ticks,
                   {{"cpu", cpu}, {"mode", kModes[i]}});
    }
    for (size_t i = 0; i < kGuestModes.size() && i + 1 + kModes.size() < words.size(); ++i) {
      NARTHEX_TRY(const double value, Number(words[i + 1 + kModes.size()]));
      page.Counter("node_cpu_guest_seconds_total",
                   "Seconds the CPUs spent in guests (VMs) for each mode.", value / ticks,
                   {{"cpu", cpu}, {"mode", kGuestModes[i]}});
    }
  }
  return {};
}

Status NodeCollector::DiskStats(Page& page) const {
  struct Column {
    const char* name;
    const char* help;
    double factor;
    bool gauge;
  };
  // In the order of /proc/diskstats behind major, minor and name.
  constexpr Column kColumns[] = {
      {"node_disk_reads_completed_total", "The total number of reads completed successfully.", 1,
       false},
      {"node_disk_reads_merged_total", "The total number of reads merged.", 1, false},
      {"node_disk_read_bytes_total", "The total number of bytes read successfully.", kSectorBytes,
       false},
      {"node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.", .001,
       false},
      {"node_disk_writes_completed_total", "The total number of writes completed successfully.", 1,
       false},
      {"node_disk_writes_merged_total", "The number of writes merged.", 1, false},
      {"node_disk_written_bytes_total", "The total number of bytes written successfully.",
       kSectorBytes, false},
      {"node_disk_write_time_seconds_total",
       "This is the total number of seconds spent by all writes.", .001, false},
      {"node_disk_io_now", "The number of I/Os currently in progress.", 1, true},
      {"node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", .001, false},
      {"node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.",
       .001, false},
      {"node_disk_discards_completed_total", "The total number of discards completed successfully.",
       1, false},
      {"node_disk_discards_merged_total", "The total number of discards merged.", 1, false},
      {"node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.",
       1, false},
      {"node_disk_discard_time_seconds_total",
       "This is the total number of seconds spent by all discards.", .001, false},
      {"node_disk_flush_requests_total",
       "The total number of flush requests completed successfully", 1, false},
      {"node_disk_flush_requests_time_seconds_total",
       "This is the total number of seconds spent by all flush requests.", .001, false},
  };
  constexpr size_t kColumnsBefore = 3;
  NARTHEX_TRY(const std::string text, Read("diskstats"));
  for (const std::string_view line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() <= kColumnsBefore || IsIgnoredDisk(words[2])) continue;
    const client::Labels labels = {{"device", words[2]}};
    for (size_t i = 0; i < std::size(kColumns) && i + kColumnsBefore < words.size(); ++i) {
      NARTHEX_TRY(const double value, Number(words[i + kColumnsBefore]));
      const Column& column = kColumns[i];
      if (column.gauge) {
        page.Gauge(column.name, column.help, value * column.factor, labels);
      } else {
        page.Counter(column.name, column.help, value * column.factor, labels);
      }
    }
  }
  return {};
}

Status NodeCollector::FileDescriptors(Page& page) const {
  NARTHEX_TRY(const std::string text, Read("sys/fs/file-nr"));
  const std::vector<std::string> words = Words(text);
  if (words.size() < 3) return Status(ErrorCode::kInvalidInput, "unexpected number of file stats");
  NARTHEX_TRY(const double allocated, Number(words[0]));
  NARTHEX_TRY(const double maximum, Number(words[2]));
  page.Gauge("node_filefd_allocated", "File descriptor statistics: allocated.", allocated);
  page.Gauge("node_filefd_maximum", "File descriptor statistics: maximum.", maximum);
  return {};
}

Status NodeCollector::LoadAverage(Page& page) const {
  NARTHEX_TRY(const std::string text, Read("loadavg"));
  const std::vector<std::string> words = Words(text);
  if (words.size() < 3) return Status(ErrorCode::kInvalidInput, "unexpected content in loadavg");
  constexpr std::array<const char*, 3> kMinutes = {"1", "5", "15"};
  for (size_t i = 0; i < kMinutes.size(); ++i) {
    NARTHEX_TRY(const double load, Number(words[i]));
    page.Gauge(std::string("node_load") + kMinutes[i], std::string(kMinutes[i]) + "m load average.",
               load);
  }
  return {};
}

Status NodeCollector::MemoryInfo(Page& page) const {
  NARTHEX_TRY(const std::string text, Read("meminfo"));
  for (const std::string_view line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() < 2) continue;
    // "Active(anon):" is Active_anon.
    std::string key;
    for (const char c : words[0]) {
      if (c == '(') key.push_back('_');
      if (c != '(' && c != ')' && c != ':') key.push_back(c);
    }
    NARTHEX_TRY(double value, Number(words[1]));
    if (words.size() > 2 && words[2] == "kB") {
      value *= 1024;
      key += "_bytes";
    }
    page.Gauge("node_memory_" + key, "Memory information field " + key + ".", value);
  }
  return {};
}

Status NodeCollector::NetworkDevices(Page& page) const {
  constexpr std::array<const char*, 16> kColumns = {
      "receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
      "receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
      "transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
      "transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed"};
  NARTHEX_TRY(const std::string text, Read("net/dev"));
  for (const std::string_view line : Split(text, '\n')) {
    const size_t colon = line.rfind(':');
    if (colon == std::string_view::npos || line.find('|') != std::string_view::npos) continue;
    const std::string device(TrimSpace(line.substr(0, colon)));
    const std::vector<std::string> words = Words(line.substr(colon + 1));
    for (size_t i = 0; i < kColumns.size() && i < words.size(); ++i) {
      NARTHEX_TRY(const double value, Number(words[i]));
      page.Counter(std::string("node_network_") + kColumns[i] + "_total",
                   std::string("Network device statistic ") + kColumns[i] + ".", value,
                   {{"device", device}});
    }
  }
  return {};
}

Status NodeCollector::KernelStatistics(Page& page) const {
  struct Row {
    std::string_view key;
    const char* name;
    const char* help;
    bool gauge;
  };
  constexpr Row kRows[] = {
      {"intr", "node_intr_total", "Total number of interrupts serviced.", false},
      {"ctxt", "node_context_switches_total", "Total number of context switches.", false},
      {"processes", "node_forks_total", "Total number of forks.", false},
      {"btime", "node_boot_time_seconds", "Node boot time, in unixtime.", true},
      {"procs_running", "node_procs_running", "Number of processes in runnable state.", true},
      {"procs_blocked", "node_procs_blocked",
       "Number of processes blocked waiting for I/O to complete.", true},
  };
  NARTHEX_TRY(const std::string text, Read("stat"));
  for (const std::string_view line : Split(text, '\n')) {
    const size_t space = line.find(' ');
    const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                  [&](const Row& r) { return r.key == line.substr(0, space); });
    if (row == std::end(kRows) || space == std::string_view::npos) continue;
    // "intr" has a number for each interrupt behind the sum.
    const std::string_view rest = line.substr(space + 1);
    NARTHEX_TRY(const double value, Number(rest.substr(0, rest.find(' '))));
    if (row->gauge) {
      page.Gauge(row->name, row->help, value);
    } else {
      page.Counter(row->name, row->help, value);
    }
  }
  return {};
}

Status NodeCollector::Time(Page& page) const {
  page.Gauge("node_time_seconds", "System time in seconds since epoch (1970).",
             static_cast<double>(options_.clock->NowNanos()) / 1e9);
  return {};
}

Status NodeCollector::UnixName(Page& page) const {
  utsname name;
  if (uname(&name) != 0) return Status(ErrorCode::kIo, "uname failed");
  page.Gauge("node_uname_info", "Labeled system information as provided by the uname system call.",
             1,
             {{"domainname", name.domainname},
              {"machine", name.machine},
              {"nodename", name.nodename},
              {"release", name.release},
              {"sysname", name.sysname},
              {"version", name.version}});
  return {};
}

Status NodeCollector::VirtualMemory(Page& page) const {
  NARTHEX_TRY(const std::string text, Read("vmstat"));
  for (const std::string_view line : Split(text, '\n')) {
    const std::vector<std::string> words = Words(line);
    if (words.size() != 2 || !IsShownVmstat(words[0])) continue;
    NARTHEX_TRY(const double value, Number(words[1]));
    page.Untyped("node_vmstat_" + words[0], "/proc/vmstat information field " + words[0] + ".",
                 value);
  }
  return {};
}

}  // namespace narthex::exporters::node
