#include "narthex/client/process_collector.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace narthex::client {
namespace {

// Whole files of /proc: their size is not known beforehand.
std::optional<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
  close(fd);
  if (got < 0) return std::nullopt;
  return text;
}

std::vector<std::string_view> Fields(std::string_view text) {
  std::vector<std::string_view> fields;
  for (size_t at = 0; (at = text.find_first_not_of(" \t\n", at)) != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(" \t\n", at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = end;
  }
  return fields;
}

double ToDouble(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The line that begins with `key`, after it; empty when there is none.
std::string_view LineOf(std::string_view text, std::string_view key) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.substr(0, key.size()) == key) return line.substr(key.size());
    at = end + 1;
  }
  return {};
}

// The soft limit. No limit is 2^64-1, as client_golang has it.
std::optional<double> Limit(std::string_view limits, std::string_view key) {
  const std::vector<std::string_view> fields = Fields(LineOf(limits, key));
  if (fields.empty()) return std::nullopt;
  if (fields[0] == "unlimited") return static_cast<double>(std::numeric_limits<uint64_t>::max());
  return ToDouble(fields[0]);
}

// netstat has pairs of lines: `IpExt: names…` and `IpExt: values…`.
std::optional<double> IpExt(std::string_view netstat, std::string_view name) {
  const std::string_view key = "IpExt:";
  const std::string_view names_line = LineOf(netstat, key);
  if (names_line.empty()) return std::nullopt;
  const auto rest_at = static_cast<size_t>(names_line.data() + names_line.size() - netstat.data());
  const std::vector<std::string_view> names = Fields(names_line);
  const std::vector<std::string_view> values = Fields(LineOf(netstat.substr(rest_at + 1), key));
  const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  if (at >= values.size()) return std::nullopt;
  return ToDouble(values[at]);
}

std::optional<double> CountEntries(const std::string& path) {
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return std::nullopt;
  int count = 0;
  while (const dirent* entry = readdir(dir)) {
    // The folder that is being read has a descriptor of its own, which is counted as client_golang
    // does; the dots are not.
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(dir);
  return count;
}

struct Row {
  const char* name;
  const char* help;
  MetricType type;
  bool extended;
};

enum : size_t {
  kCpu,
  kOpenFds,
  kMaxFds,
  kVirtual,
  kVirtualMax,
  kResident,
  kStart,
  kReceived,
  kSent,
  kThreads,
  kHeap,
  kRowCount
};

constexpr Row kRows[kRowCount] = {
    {"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
     MetricType::kCounter, false},
    {"process_open_fds", "Number of open file descriptors.", MetricType::kGauge, false},
    {"process_max_fds", "Maximum number of open file descriptors.", MetricType::kGauge, false},
    {"process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::kGauge, false},
    {"process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
     MetricType::kGauge, false},
    {"process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::kGauge, false},
    {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
     MetricType::kGauge, false},
    {"process_network_receive_bytes_total",
     "Number of bytes received by the process over the network.", MetricType::kCounter, false},
    {"process_network_transmit_bytes_total",
     "Number of bytes sent by the process over the network.", MetricType::kCounter, false},
    {"process_threads", "Number of operating system threads in the process.", MetricType::kGauge,
     true},
    {"process_heap_bytes", "Process heap size in bytes.", MetricType::kGauge, true},
};

class ProcessCollector final : public Collector {
 public:
  explicit ProcessCollector(ProcessCollectorOptions options) : options_(std::move(options)) {}

  void Describe(std::vector<Description>& out) const override {
    for (const Row& row : kRows) {
      if (!row.extended || options_.extended) out.push_back(MakeDescription({Name(row), row.help}));
    }
  }

  void Collect(std::vector<MetricFamily>& out) override {
    const std::string base = options_.proc_path + '/' +
                             (options_.pid ? std::to_string(options_.pid()) : std::string("self")) +
                             '/';
    std::optional<double> values[kRowCount];
    ReadStat(base, values);
    values[kOpenFds] = CountEntries(base + "fd");
    if (const auto limits = ReadFile(base + "limits")) {
      values[kMaxFds] = Limit(*limits, "Max open files");
      values[kVirtualMax] = Limit(*limits, "Max address space");
    }
    if (const auto netstat = ReadFile(base + "net/netstat")) {
      values[kReceived] = IpExt(*netstat, "InOctets").value_or(0);
      values[kSent] = IpExt(*netstat, "OutOctets").value_or(0);
    }
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    if (options_.extended && !options_.pid) {
      const struct mallinfo2 info = mallinfo2();
      const double bytes = static_cast<double>(info.arena) + static_cast<double>(info.hblkhd);
      // 0: the program has another allocator, of which malloc knows nothing.
      if (bytes > 0) values[kHeap] = bytes;
    }
#endif
    for (size_t i = 0; i < kRowCount; ++i) {
      const Row& row = kRows[i];
      if (!values[i] || (row.extended && !options_.extended)) continue;
      MetricFamily family{Name(row), row.help, row.type, {}, {}};
      MetricValue value = GaugeValue{*values[i]};
      if (row.type == MetricType::kCounter) {
        value = CounterValue{*values[i], nullptr, std::nullopt};
      }
      family.metrics.push_back({{}, std::move(value), {}});
      out.push_back(std::move(family));
    }
  }

 private:
  std::string Name(const Row& row) const { return BuildName(options_.name_space, "", row.name); }

  void ReadStat(const std::string& base, std::optional<double> (&values)[kRowCount]) const {
    const std::optional<std::string> stat = ReadFile(base + "stat");
    if (!stat) return;
    // The second field is the program's name in parentheses, which may itself hold anything.
    const size_t name_end = stat->rfind(')');
    if (name_end == std::string::npos) return;
    // fields[0] is field 3 of proc(5).
    const std::vector<std::string_view> fields =
        Fields(std::string_view(*stat).substr(name_end + 1));
    const auto field = [&](size_t number) { return ToDouble(fields[number - 3]); };
    if (fields.size() < 22) return;
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    values[kCpu] = (field(14) + field(15)) / ticks;
    values[kThreads] = field(20);
    values[kVirtual] = field(23);
    values[kResident] = field(24) * static_cast<double>(sysconf(_SC_PAGESIZE));
    if (boot_time_ == 0) {
      if (const auto system = ReadFile(options_.proc_path + "/stat")) {
        boot_time_ = ToDouble(Fields(LineOf(*system, "btime ")).empty()
                                  ? std::string_view("0")
                                  : Fields(LineOf(*system, "btime "))[0]);
      }
    }
    if (boot_time_ > 0) values[kStart] = boot_time_ + field(22) / ticks;
  }

  const ProcessCollectorOptions options_;
  // Never changes, and /proc/stat is long on large machines. Atomic, since collections may overlap.
  mutable std::atomic<double> boot_time_{0};
};

}  // namespace

std::shared_ptr<Collector> MakeProcessCollector(ProcessCollectorOptions options) {
  return std::make_shared<ProcessCollector>(std::move(options));
}

Gauge BuildInfo(Registry& registry, const std::string& prefix, Labels labels) {
  // The words of upstream's version collector.
  const Gauge gauge(registry,
                    {BuildName(prefix, "", "build_info"),
                     "A metric with a constant '1' value labeled by version, revision, branch, "
                     "goversion from which " +
                         prefix + " was built, and the goos and goarch for the build.",
                     {},
                     std::move(labels)});
  gauge.Set(1);
  return gauge;
}

}  // namespace narthex::client
