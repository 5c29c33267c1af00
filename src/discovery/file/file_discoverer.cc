#include "discovery/file/file_discoverer.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/config.h"
#include "discovery/file/directory_watcher.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kFilepathLabel = "__meta_filepath";
// Writers touch a file several times in a row; what happens within this is one change.
constexpr int64_t kSettleNanos = 20 * kNanosPerMilli;

std::string SourceOf(const std::string& path, size_t index) {
  return fmt::format("{}:{}", path, index);
}

std::string FolderOf(const std::string& pattern) {
  const size_t slash = pattern.rfind('/');
  return slash == std::string::npos ? "./" : pattern.substr(0, slash + 1);
}

class FileDiscoverer : public Discoverer {
 public:
  FileDiscoverer(FileSdConfig config, std::shared_ptr<DirectoryWatcher> watcher,
                 DiscoveryEnvironment& environment)
      : config_(std::move(config)), environment_(environment), watcher_(std::move(watcher)) {}

  void Start(TargetGroupSink sink) override {
    sink_ = std::move(sink);
    self_ = std::make_shared<FileDiscoverer*>(this);
    Count("prometheus_sd_file_watcher_errors_total", watcher_ == nullptr ? 1 : 0);
    Count("prometheus_sd_file_read_errors_total", 0);
    Tick();
  }

  void Stop() override {
    for (const auto& [folder, handle] : watches_) watcher_->Unwatch(handle);
    watches_.clear();
    if (self_ != nullptr) *self_ = nullptr;
    self_.reset();
    environment_.loop->Cancel(tick_timer_);
    environment_.loop->Cancel(settle_timer_);
    for (const auto& [path, count] : last_counts_) RemoveTimestamp(path);
    sink_ = nullptr;
  }

 private:
  void Tick() {
    tick_timer_ = environment_.loop->PostAfter(config_.refresh_interval.nanos, [self = self_] {
      if (*self != nullptr) (*self)->Tick();
    });
    Refresh();
  }

  void Changed() {
    if (settle_timer_ != 0) return;
    settle_timer_ = environment_.loop->PostAfter(kSettleNanos, [self = self_] {
      if (*self == nullptr) return;
      (*self)->settle_timer_ = 0;
      (*self)->Refresh();
    });
  }

  void Count(std::string_view counter, double amount = 1) {
    if (environment_.metrics != nullptr) environment_.metrics->Add(counter, {}, amount);
  }
  void RemoveTimestamp(const std::string& path) {
    if (environment_.metrics == nullptr) return;
    environment_.metrics->Remove("prometheus_sd_file_mtime_seconds", {{"filename", path}});
  }

  // All files that the patterns stand for. Patterns that overlap name a file more than once.
  std::vector<std::string> ListFiles() {
    std::vector<std::string> paths;
    for (const std::string& pattern : config_.files) {
      Result<std::vector<std::string>> found = GlobFiles(pattern, *environment_.files);
      if (!found.ok()) {
        LOG_ERROR("Error expanding glob", {"glob", pattern}, {"err", found.status().message()});
        continue;
      }
      for (std::string& path : *found) {
        if (std::find(paths.begin(), paths.end(), path) == paths.end()) {
          paths.push_back(std::move(path));
        }
      }
    }
    return paths;
  }

  Result<std::vector<TargetGroup>> ReadFile(const std::string& path) {
    NARTHEX_TRY(const std::string text, environment_.files->ReadAll(path));
    const bool json = ToLower(path.substr(path.rfind('.'))) == ".json";
    NARTHEX_TRY(std::vector<TargetGroup> groups,
                json ? ParseTargetGroupsJson(text) : ParseTargetGroupsYaml(text));
    for (size_t i = 0; i < groups.size(); ++i) {
      groups[i].source = SourceOf(path, i);
      groups[i].labels[std::string(kFilepathLabel)] = path;
    }
    struct stat info{};
    if (environment_.metrics != nullptr && ::stat(path.c_str(), &info) == 0) {
      environment_.metrics->Set("prometheus_sd_file_mtime_seconds", {{"filename", path}},
                                static_cast<double>(info.st_mtime));
    }
    return groups;
  }

  void Refresh() {
    WatchFolders();  // Before reading, so that no change falls in between.
    const int64_t started = environment_.loop->NowNanos();
    std::map<std::string, size_t> counts;
    std::vector<TargetGroupPtr> update;
    for (const std::string& path : ListFiles()) {
      Result<std::vector<TargetGroup>> groups = ReadFile(path);
      if (!groups.ok()) {
        Count("prometheus_sd_file_read_errors_total");
        LOG_ERROR("Error reading file", {"path", path}, {"err", groups.status().message()});
        // What it had stays.
        const auto before = last_counts_.find(path);
        counts[path] = before == last_counts_.end() ? 0 : before->second;
        continue;
      }
      counts[path] = groups->size();
      for (TargetGroup& group : *groups) {
        update.push_back(std::make_shared<const TargetGroup>(std::move(group)));
      }
    }
    AddVanished(counts, &update);
    last_counts_ = std::move(counts);
    if (environment_.metrics != nullptr) {
      const int64_t now = environment_.loop->NowNanos();
      environment_.metrics->Observe("prometheus_sd_file_scan_duration_seconds", {}, now,
                                    now - started);
    }
    sink_(std::move(update));
  }

  // Empty groups in place of those that are there no longer.
  void AddVanished(const std::map<std::string, size_t>& counts,
                   std::vector<TargetGroupPtr>* update) {
    for (const auto& [path, before] : last_counts_) {
      const auto now = counts.find(path);
      if (now == counts.end()) RemoveTimestamp(path);
      for (size_t i = now == counts.end() ? 0 : now->second; i < before; ++i) {
        auto empty = std::make_shared<TargetGroup>();
        empty->source = SourceOf(path, i);
        update->push_back(std::move(empty));
      }
    }
  }

  // Folders may appear, vanish and be replaced, so they are watched anew with every refresh.
  void WatchFolders() {
    if (watcher_ == nullptr) return;
    std::set<std::string> folders;
    for (const std::string& pattern : config_.files) folders.insert(FolderOf(pattern));
    for (const std::string& folder : folders) {
      Result<DirectoryWatcher::Handle> handle =
          watcher_->Watch(folder, [loop = environment_.loop, self = self_] {
            loop->Post([self] {
              if (*self != nullptr) (*self)->Changed();
            });
          });
      if (!handle.ok()) {
        LOG_ERROR("Error adding file watch", {"path", folder}, {"err", handle.status().message()});
        continue;
      }
      if (const auto before = watches_.find(folder); before != watches_.end()) {
        watcher_->Unwatch(before->second);
      }
      watches_[folder] = *handle;
    }
  }

  const FileSdConfig config_;
  DiscoveryEnvironment& environment_;
  const std::shared_ptr<DirectoryWatcher> watcher_;  // Null: only the refresh interval counts.
  TargetGroupSink sink_;
  std::shared_ptr<FileDiscoverer*> self_;  // Null inside once stopped; for late tasks.
  TaskLoop::TimerId tick_timer_ = 0;
  TaskLoop::TimerId settle_timer_ = 0;
  std::map<std::string, size_t> last_counts_;  // Groups by path.
  std::map<std::string, DirectoryWatcher::Handle> watches_;
};

}  // namespace

void RegisterFileDiscovery(DiscoveryRegistry& registry) {
  // One watcher for all entries, made with the first of them. Factories run on the loop.
  auto watcher = std::make_shared<std::weak_ptr<DirectoryWatcher>>();
  registry.Register(
      "file",
      [watcher](const SdConfig& config, const std::string&,
                DiscoveryEnvironment& environment) -> Result<std::unique_ptr<Discoverer>> {
        std::shared_ptr<DirectoryWatcher> shared = watcher->lock();
        if (shared == nullptr) {
          Result<std::unique_ptr<DirectoryWatcher>> made = DirectoryWatcher::Create();
          if (made.ok()) {
            shared = *std::move(made);
            *watcher = shared;
          } else {
            LOG_ERROR("Error adding file watcher", {"err", made.status().message()});
          }
        }
        return std::unique_ptr<Discoverer>(
            new FileDiscoverer(*config.As<FileSdConfig>(), std::move(shared), environment));
      });
}

}  // namespace narthex
