#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <set>

#include "exporters/node/page.h"
#include "util/strings.h"

namespace narthex::exporters::node {
namespace {

// Kernel file systems that hold no data of anybody.
constexpr std::array<std::string_view, 24> kIgnoredTypes = {
    "autofs",     "binfmt_misc", "bpf",       "cgroup",   "cgroup2",   "configfs",
    "debugfs",    "devpts",      "devtmpfs",  "fusectl",  "hugetlbfs", "iso9660",
    "mqueue",     "nsfs",        "overlay",   "proc",     "procfs",    "pstore",
    "rpc_pipefs", "securityfs",  "selinuxfs", "squashfs", "sysfs",     "tracefs"};
constexpr std::array<std::string_view, 6> kIgnoredMountRoots = {
    "/dev", "/proc", "/run/credentials", "/sys", "/var/lib/docker", "/var/lib/containers/storage"};

bool IsBelow(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}

// mountinfo writes a space as \040 and a tab as \011.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 4) == "\\040") {
      out.push_back(' ');
      i += 3;
    } else if (text.substr(i, 4) == "\\011") {
      out.push_back('\t');
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool HasOption(std::string_view options, std::string_view wanted) {
  for (const std::string_view option : Split(options, ',')) {
    if (option == wanted) return true;
  }
  return false;
}

struct Mount {
  std::string device, mount_point, type;
  bool read_only = false;

  auto operator<=>(const Mount&) const = default;
};

// "36 35 98:0 /root /mnt rw,noatime shared:1 - ext3 /dev/root rw"
bool ParseMount(std::string_view line, Mount* mount) {
  const std::vector<std::string_view> parts = Split(line, ' ');
  const auto dash = std::find(parts.begin(), parts.end(), "-");
  if (parts.size() < 10 || parts.end() - dash < 4) return false;
  mount->mount_point = Unescape(parts[4]);
  mount->type = dash[1];
  mount->device = Unescape(dash[2]);
  mount->read_only = HasOption(parts[5], "ro") || HasOption(dash[3], "ro");
  return true;
}

}  // namespace

Status NodeCollector::FileSystems(Page& page) const {
  Result<std::string> text = Read("1/mountinfo");
  if (!text.ok()) text = Read("self/mountinfo");
  if (!text.ok()) return text.status();
  std::set<std::array<std::string, 3>> seen;
  for (const std::string_view line : Split(*text, '\n')) {
    Mount mount;
    if (!ParseMount(line, &mount)) continue;
    const bool ignored =
        std::find(kIgnoredTypes.begin(), kIgnoredTypes.end(), mount.type) != kIgnoredTypes.end() ||
        std::any_of(kIgnoredMountRoots.begin(), kIgnoredMountRoots.end(),
                    [&](std::string_view root) { return IsBelow(mount.mount_point, root); });
    if (ignored || !seen.insert({mount.device, mount.mount_point, mount.type}).second) continue;

    struct statvfs info;
    std::string path =
        options_.rootfs == "/" ? mount.mount_point : options_.rootfs + mount.mount_point;
    const bool failed = statvfs(path.c_str(), &info) != 0;
    const client::Labels labels = {{"device", mount.device},
                                   {"device_error", failed ? ErrnoText(errno) : ""},
                                   {"fstype", mount.type},
                                   {"mountpoint", mount.mount_point}};
    page.Gauge("node_filesystem_device_error",
               "Whether an error occurred while getting statistics for the given device.",
               failed ? 1 : 0, labels);
    page.Gauge("node_filesystem_readonly", "Filesystem read-only status.", mount.read_only ? 1 : 0,
               labels);
    if (failed) continue;
    const auto block = static_cast<double>(info.f_frsize);
    page.Gauge("node_filesystem_size_bytes", "Filesystem size in bytes.",
               static_cast<double>(info.f_blocks) * block, labels);
    page.Gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.",
               static_cast<double>(info.f_bfree) * block, labels);
    page.Gauge("node_filesystem_avail_bytes",
               "Filesystem space available to non-root users in bytes.",
               static_cast<double>(info.f_bavail) * block, labels);
    page.Gauge("node_filesystem_files", "Filesystem total file nodes.",
               static_cast<double>(info.f_files), labels);
    page.Gauge("node_filesystem_files_free", "Filesystem total free file nodes.",
               static_cast<double>(info.f_ffree), labels);
  }
  return {};
}

}  // namespace narthex::exporters::node
