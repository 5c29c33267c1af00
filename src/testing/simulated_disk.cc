#include "testing/simulated_disk.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "util/check.h"

namespace narthex::testing {
namespace {

constexpr size_t kPageBytes = 4096;

std::vector<std::string> Parts(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Status NotFound(std::string_view operation, const std::string& path) {
  return MakeError(ErrorCode::kNotFound, "{} {}: no such file or directory", operation, path);
}

// Bytes that stay where they are however the file grows, so that views see what is written later.
class Memory {
 public:
  Memory()
      : address_(::mmap(nullptr, SimulatedDisk::kFileBytesMax, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    NARTHEX_CHECK(address_ != MAP_FAILED);
  }
  ~Memory() { ::munmap(address_, SimulatedDisk::kFileBytesMax); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  char* data() const { return static_cast<char*>(address_); }

 private:
  void* address_;
};

}  // namespace

struct SimulatedDisk::Node {
  bool is_directory = false;
  // Of a file.
  std::shared_ptr<Memory> memory;
  uint64_t size = 0;
  std::string durable;             // Its bytes after a loss of power, at least.
  std::set<uint64_t> dirty_pages;  // Written since the last sync.
  // Of a folder.
  Entries entries;
  Entries durable_entries;
  std::vector<Change> changes;  // Since the last sync.

  std::string_view bytes() const { return {memory->data(), size}; }
  void Touch(uint64_t offset, uint64_t length) {
    if (length == 0) return;
    for (uint64_t page = offset / kPageBytes; page <= (offset + length - 1) / kPageBytes; ++page) {
      dirty_pages.insert(page);
    }
  }
  void Resize(uint64_t wanted) {
    if (wanted == size) return;
    NARTHEX_CHECK(wanted <= kFileBytesMax);
    if (wanted < size) std::memset(memory->data() + wanted, 0, size - wanted);
    size = wanted;
  }
  void Write(uint64_t offset, std::string_view data) {
    if (data.empty()) return;
    if (offset + data.size() > size) Resize(offset + data.size());
    std::memcpy(memory->data() + offset, data.data(), data.size());
    Touch(offset, data.size());
  }
  void Sync() {
    durable.resize(size);
    for (const uint64_t page : dirty_pages) {
      const uint64_t at = page * kPageBytes;
      if (at >= size) continue;
      std::memcpy(durable.data() + at, memory->data() + at,
                  std::min<uint64_t>(kPageBytes, size - at));
    }
    dirty_pages.clear();
  }
};

class SimulatedDisk::View : public MappedFile {
 public:
  explicit View(const Node& node) : memory_(node.memory), data_(node.bytes()) {}
  std::string_view data() const override { return data_; }

 private:
  std::shared_ptr<const Memory> memory_;
  std::string_view data_;
};

class SimulatedDisk::File : public WritableFile {
 public:
  File(SimulatedDisk* disk, std::shared_ptr<Node> node, std::string path, bool appends)
      : disk_(disk),
        node_(std::move(node)),
        path_(std::move(path)),
        appends_(appends),
        lifetime_(disk->lifetime_) {}

  Status Append(std::string_view bytes) override {
    const std::lock_guard lock(disk_->mutex_);
    if (appends_) at_ = node_->size;
    return WriteLocked(at_, bytes, &at_);
  }
  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(disk_->mutex_);
    uint64_t end = 0;
    return WriteLocked(offset, bytes, &end);
  }
  Status Sync() override {
    const std::lock_guard lock(disk_->mutex_);
    Status error;
    if (!Alive(&error)) return error;
    if (disk_->Begin(false, true, &error, "sync", path_) != Verdict::kGo) return error;
    node_->Sync();
    return {};
  }
  Status Truncate(uint64_t size) override {
    const std::lock_guard lock(disk_->mutex_);
    Status error;
    if (!Alive(&error)) return error;
    if (disk_->Begin(false, false, &error, "truncate", path_) != Verdict::kGo) return error;
    node_->Resize(size);
    return {};
  }
  Status Preallocate(uint64_t size) override {
    const std::lock_guard lock(disk_->mutex_);
    Status error;
    if (!Alive(&error)) return error;
    if (disk_->Begin(true, false, &error, "preallocate", path_) != Verdict::kGo) return error;
    if (size > node_->size) node_->Resize(size);
    return {};
  }
  Status Close() override { return {}; }

 private:
  bool Alive(Status* error) const {
    if (lifetime_ == disk_->lifetime_) return true;
    *error = MakeError(ErrorCode::kIo, "write {}: the process is dead", path_);
    return false;
  }
  Status WriteLocked(uint64_t offset, std::string_view bytes, uint64_t* end) {
    Status error;
    if (!Alive(&error)) return error;
    const Verdict verdict = disk_->Begin(true, false, &error, "write", path_);
    if (verdict == Verdict::kHalf) bytes = bytes.substr(0, disk_->random_() % (bytes.size() + 1));
    if (verdict != Verdict::kNothing) {
      node_->Write(offset, bytes);
      *end = offset + bytes.size();
    }
    return error;
  }

  SimulatedDisk* disk_;
  std::shared_ptr<Node> node_;
  std::string path_;
  bool appends_;
  uint64_t lifetime_;
  uint64_t at_ = 0;
};

SimulatedDisk::SimulatedDisk(uint64_t seed) : random_(seed), root_(std::make_shared<Node>()) {
  root_->is_directory = true;
}
SimulatedDisk::~SimulatedDisk() = default;

void SimulatedDisk::Schedule(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(fault);
}

void SimulatedDisk::Heal() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  active_.reset();
}

uint64_t SimulatedDisk::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

bool SimulatedDisk::dead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

std::string SimulatedDisk::struck_operation() const {
  const std::lock_guard lock(mutex_);
  return struck_operation_;
}

bool SimulatedDisk::struck() const {
  const std::lock_guard lock(mutex_);
  return struck_;
}

SimulatedDisk::Verdict SimulatedDisk::Begin(bool writes, bool syncs, Status* error,
                                            std::string_view name, const std::string& path) {
  const uint64_t number = operations_++;
  if (active_ && active_->kind == FaultKind::kNoSpace &&
      number >= active_->operation + active_->operations) {
    active_.reset();
  }
  bool begins = false;
  for (size_t i = 0; i < faults_.size(); ++i) {
    const Fault fault = faults_[i];
    // A sync error waits for a sync; the others come at their operation.
    if (number < fault.operation || (fault.kind == FaultKind::kSyncError && !syncs)) continue;
    faults_.erase(faults_.begin() + static_cast<std::ptrdiff_t>(i));
    if (!struck_) struck_operation_ = std::string(name) + " " + path;
    struck_ = true;
    if (fault.kind == FaultKind::kError || fault.kind == FaultKind::kSyncError) {
      *error = MakeError(ErrorCode::kIo, "{} {}: input/output error", name, path);
      return Verdict::kNothing;
    }
    active_ = fault;
    dead_ |= fault.kind == FaultKind::kCrash;
    begins = true;
    break;
  }
  if (!active_) return Verdict::kGo;
  if (active_->kind == FaultKind::kCrash) {
    *error = MakeError(ErrorCode::kIo, "{} {}: the process is dead", name, path);
    return begins && writes ? Verdict::kHalf : Verdict::kNothing;
  }
  if (!writes) return Verdict::kGo;
  *error = MakeError(ErrorCode::kIo, "{} {}: no space left on device", name, path);
  return Verdict::kHalf;
}

std::shared_ptr<SimulatedDisk::Node> SimulatedDisk::Find(const std::string& path) const {
  std::shared_ptr<Node> node = root_;
  for (const std::string& part : Parts(path)) {
    const auto found = node->entries.find(part);
    if (!node->is_directory || found == node->entries.end()) return nullptr;
    node = found->second;
  }
  return node;
}

std::shared_ptr<SimulatedDisk::Node> SimulatedDisk::Parent(const std::string& path,
                                                           std::string* name) const {
  *name = BaseName(path);
  std::shared_ptr<Node> node = Find(DirName(path));
  return node != nullptr && node->is_directory ? node : nullptr;
}

void SimulatedDisk::ApplyChange(const Change& change, Entries* entries) {
  for (const auto& [name, node] : change) {
    if (node == nullptr) {
      entries->erase(name);
    } else {
      (*entries)[name] = node;
    }
  }
}

void SimulatedDisk::Alter(Node& folder, Change change) {
  ApplyChange(change, &folder.entries);
  folder.changes.push_back(std::move(change));
}

bool SimulatedDisk::IsDurable(const std::string& path, uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Node> node = root_;
  for (const std::string& part : Parts(path)) {
    const auto found = node->durable_entries.find(part);
    if (found == node->durable_entries.end()) return false;
    // Something else may get the name back that it has for now.
    const auto now = node->entries.find(part);
    if (now == node->entries.end() || now->second != found->second) return false;
    node = found->second;
  }
  if (node->is_directory || node->durable.size() < bytes) return false;
  return node->dirty_pages.empty() || *node->dirty_pages.begin() * kPageBytes >= bytes ||
         std::memcmp(node->durable.data(), node->memory->data(), bytes) == 0;
}

Result<std::unique_ptr<WritableFile>> SimulatedDisk::OpenForWrite(const std::string& path,
                                                                  OpenMode mode) {
  const std::lock_guard lock(mutex_);
  std::string name;
  const std::shared_ptr<Node> parent = Parent(path, &name);
  if (parent == nullptr) return NotFound("open", path);
  std::shared_ptr<Node> node = Find(path);
  if (node == nullptr && mode == OpenMode::kExisting) return NotFound("open", path);
  if (node != nullptr && node->is_directory) {
    return MakeError(ErrorCode::kIo, "open {}: is a directory", path);
  }
  Status error;
  if (Begin(node == nullptr, false, &error, "open", path) != Verdict::kGo) return error;
  if (node == nullptr) {
    node = std::make_shared<Node>();
    node->memory = std::make_shared<Memory>();
    Alter(*parent, {{name, node}});
  }
  if (mode == OpenMode::kTruncate) node->Resize(0);
  return std::unique_ptr<WritableFile>(
      std::make_unique<File>(this, node, path, mode == OpenMode::kAppend));
}

Result<std::unique_ptr<MappedFile>> SimulatedDisk::Map(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Node> node = Find(path);
  if (node == nullptr || node->is_directory) return NotFound("open", path);
  return std::unique_ptr<MappedFile>(std::make_unique<View>(*node));
}

Result<std::string> SimulatedDisk::ReadAll(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Node> node = Find(path);
  if (node == nullptr || node->is_directory) return NotFound("open", path);
  return std::string(node->bytes());
}

Result<std::vector<FileInfo>> SimulatedDisk::List(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Node> node = Find(directory);
  if (node == nullptr || !node->is_directory) return NotFound("open", directory);
  std::vector<FileInfo> infos;
  for (const auto& [name, entry] : node->entries) {
    infos.push_back({name, entry->is_directory, entry->size});
  }
  return infos;
}

Result<FileInfo> SimulatedDisk::Stat(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Node> node = Find(path);
  if (node == nullptr) return NotFound("stat", path);
  return FileInfo{BaseName(path), node->is_directory, node->size};
}

Status SimulatedDisk::CreateDirectories(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Node> node = root_;
  for (const std::string& part : Parts(path)) {
    const auto found = node->entries.find(part);
    if (found != node->entries.end()) {
      node = found->second;
      continue;
    }
    Status error;
    if (Begin(true, false, &error, "mkdir", path) != Verdict::kGo) return error;
    auto made = std::make_shared<Node>();
    made->is_directory = true;
    Alter(*node, {{part, made}});
    node = std::move(made);
  }
  return {};
}

Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  std::string from_name;
  std::string to_name;
  const std::shared_ptr<Node> from_parent = Parent(from, &from_name);
  const std::shared_ptr<Node> to_parent = Parent(to, &to_name);
  const std::shared_ptr<Node> node = Find(from);
  if (from_parent == nullptr || to_parent == nullptr || node == nullptr) {
    return NotFound("rename", from + " " + to);
  }
  const std::shared_ptr<Node> target = Find(to);
  if (target != nullptr && target->is_directory && !target->entries.empty()) {
    return MakeError(ErrorCode::kIo, "rename {} {}: directory not empty", from, to);
  }
  Status error;
  if (Begin(false, false, &error, "rename", from) != Verdict::kGo) return error;
  if (to_parent == from_parent) {
    Alter(*to_parent, {{from_name, nullptr}, {to_name, node}});
  } else {
    Alter(*to_parent, {{to_name, node}});
    Alter(*from_parent, {{from_name, nullptr}});
  }
  return {};
}

Status SimulatedDisk::RemoveFile(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::string name;
  const std::shared_ptr<Node> parent = Parent(path, &name);
  if (parent == nullptr || Find(path) == nullptr) return {};
  Status error;
  if (Begin(false, false, &error, "remove", path) != Verdict::kGo) return error;
  Alter(*parent, {{name, nullptr}});
  return {};
}

Status SimulatedDisk::RemoveTree(const std::string& path, Node& parent, const std::string& name) {
  const std::shared_ptr<Node> node = parent.entries.at(name);
  if (node->is_directory) {
    const Entries entries = node->entries;
    for (const auto& [child, unused] : entries) {
      NARTHEX_RETURN_IF_ERROR(RemoveTree(JoinPath(path, child), *node, child));
    }
  }
  Status error;
  if (Begin(false, false, &error, "remove", path) != Verdict::kGo) return error;
  Alter(parent, {{name, nullptr}});
  return {};
}

Status SimulatedDisk::RemoveAll(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::string name;
  const std::shared_ptr<Node> parent = Parent(path, &name);
  if (parent == nullptr || Find(path) == nullptr) return {};
  return RemoveTree(path, *parent, name);
}

Status SimulatedDisk::HardLink(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Node> node = Find(from);
  std::string name;
  const std::shared_ptr<Node> parent = Parent(to, &name);
  if (node == nullptr || parent == nullptr) return NotFound("link", from + " " + to);
  if (parent->entries.contains(name)) {
    return MakeError(ErrorCode::kIo, "link {} {}: file exists", from, to);
  }
  Status error;
  if (Begin(true, false, &error, "link", to) != Verdict::kGo) return error;
  Alter(*parent, {{name, node}});
  return {};
}

Status SimulatedDisk::SyncDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Node> node = Find(path);
  if (node == nullptr || !node->is_directory) return NotFound("open", path);
  Status error;
  if (Begin(false, true, &error, "sync", path) != Verdict::kGo) return error;
  node->durable_entries = node->entries;
  node->changes.clear();
  return {};
}

// Makes what survives the present state, and the durable one too.
void SimulatedDisk::Settle(Node& node, Survivors survivors) {
  if (node.is_directory) {
    if (survivors != Survivors::kWritten) {
      // A folder's history is kept up to some point.
      const size_t kept =
          survivors == Survivors::kSynced ? 0 : random_() % (node.changes.size() + 1);
      node.entries = node.durable_entries;
      for (size_t i = 0; i < kept; ++i) ApplyChange(node.changes[i], &node.entries);
    }
    node.durable_entries = node.entries;
    node.changes.clear();
    for (const auto& [name, entry] : node.entries) Settle(*entry, survivors);
    return;
  }
  if (survivors == Survivors::kWritten) return node.Sync();
  std::string image = node.durable;
  if (survivors == Survivors::kTorn) {
    if (random_() % 2 == 0) image.resize(node.size);  // The new length came through.
    for (const uint64_t page : node.dirty_pages) {
      const uint64_t at = page * kPageBytes;
      if (random_() % 2 == 0 || at >= image.size() || at >= node.size) continue;
      std::memcpy(image.data() + at, node.memory->data() + at,
                  std::min<uint64_t>(kPageBytes, std::min(image.size(), node.size) - at));
    }
  }
  // Views of before keep the old memory.
  node.memory = std::make_shared<Memory>();
  std::memcpy(node.memory->data(), image.data(), image.size());
  node.size = image.size();
  node.durable = std::move(image);
  node.dirty_pages.clear();
}

void SimulatedDisk::Crash(Survivors survivors) {
  const std::lock_guard lock(mutex_);
  faults_.clear();
  active_.reset();
  dead_ = false;
  ++lifetime_;
  Settle(*root_, survivors);
}

}  // namespace narthex::testing
