#include "push/journal.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "push/family_proto.h"
#include "util/bytes.h"
#include "util/crc32c.h"

namespace narthex::push {
namespace {

constexpr std::string_view kMagic = "NXPUSH01";
constexpr size_t kHeaderBytes = kMagic.size() + 8 + 4;
constexpr size_t kFrameBytes = 4 + 4;

// The first byte of a record. A change has: expiry in ms, labels, and per family its name, seconds,
// nanoseconds and protobuf message. A mark has the identity of a state file.
enum class RecordKind : uint8_t { kReplace = 1, kMerge = 2, kDelete = 3, kStateMark = 4 };

std::string Header(const StateIdentity& state) {
  std::string header(kMagic);
  ByteWriter writer(&header);
  writer.PutBigEndian64(state.size);
  writer.PutBigEndian32(state.checksum);
  return header;
}

void AppendFrame(std::string_view record, std::string* out) {
  ByteWriter writer(out);
  writer.PutBigEndian32(static_cast<uint32_t>(record.size()));
  writer.PutBigEndian32(Crc32c(record));
  writer.PutBytes(record);
}

std::string EncodeChange(const Change& change) {
  std::string record;
  ByteWriter writer(&record);
  switch (change.kind) {
    case Change::Kind::kReplace: writer.PutByte(static_cast<uint8_t>(RecordKind::kReplace)); break;
    case Change::Kind::kMerge: writer.PutByte(static_cast<uint8_t>(RecordKind::kMerge)); break;
    case Change::Kind::kDelete: writer.PutByte(static_cast<uint8_t>(RecordKind::kDelete)); break;
  }
  writer.PutVarint(change.group.expires_ms);
  writer.PutUvarint(change.group.labels.size());
  for (const client::LabelPair& label : change.group.labels) {
    writer.PutUvarintString(label.name);
    writer.PutUvarintString(label.value);
  }
  writer.PutUvarint(change.group.families.size());
  for (const auto& [name, stamped] : change.group.families) {
    writer.PutUvarintString(name);
    writer.PutVarint(stamped.time.seconds);
    writer.PutUvarint(static_cast<uint64_t>(stamped.time.nanos));
    writer.PutUvarintString(EncodeFamily(*stamped.family));
  }
  return record;
}

Result<Change> DecodeChange(RecordKind kind, ByteReader* reader) {
  Change change;
  change.kind = kind == RecordKind::kReplace ? Change::Kind::kReplace
                : kind == RecordKind::kMerge ? Change::Kind::kMerge
                                             : Change::Kind::kDelete;
  change.group.expires_ms = reader->Varint();
  for (uint64_t left = reader->Uvarint(); left > 0 && !reader->failed(); --left) {
    const std::string name(reader->UvarintString());
    change.group.labels.push_back({name, std::string(reader->UvarintString())});
  }
  for (uint64_t left = reader->Uvarint(); left > 0 && !reader->failed(); --left) {
    const std::string name(reader->UvarintString());
    StampedFamily stamped;
    stamped.time.seconds = reader->Varint();
    stamped.time.nanos = static_cast<int32_t>(reader->Uvarint());
    NARTHEX_TRY(client::MetricFamily family, DecodeFamily(reader->UvarintString()));
    stamped.family = std::make_shared<client::MetricFamily>(std::move(family));
    change.group.families.insert_or_assign(name, std::move(stamped));
  }
  if (reader->failed() || !reader->empty()) {
    return MakeError(ErrorCode::kCorruption, "bad record in the journal of pushes");
  }
  return change;
}

struct Contents {
  StateIdentity base;
  // With the identity of each mark, in order with the changes.
  std::vector<std::variant<Change, StateIdentity>> records;
  size_t whole_bytes = 0;  // Up to the end of the last whole record.
};

// Stops at the first record that is not whole.
Contents ReadContents(std::string_view bytes) {
  Contents contents;
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) return contents;
  ByteReader reader(bytes);
  reader.Skip(kMagic.size());
  contents.base.size = reader.BigEndian64();
  contents.base.checksum = reader.BigEndian32();
  contents.whole_bytes = kHeaderBytes;
  while (reader.remaining() >= kFrameBytes) {
    const uint32_t length = reader.BigEndian32();
    const uint32_t checksum = reader.BigEndian32();
    if (length == 0 || length > reader.remaining()) break;
    const std::string_view record = reader.Bytes(length);
    if (Crc32c(record) != checksum) break;
    ByteReader fields(record);
    const auto kind = static_cast<RecordKind>(fields.Byte());
    if (kind == RecordKind::kStateMark) {
      StateIdentity mark;
      mark.size = fields.BigEndian64();
      mark.checksum = fields.BigEndian32();
      contents.records.emplace_back(mark);
    } else {
      Result<Change> change = DecodeChange(kind, &fields);
      if (!change.ok()) break;
      contents.records.emplace_back(*std::move(change));
    }
    contents.whole_bytes = bytes.size() - reader.remaining();
  }
  return contents;
}

}  // namespace

void ApplyChange(const Change& change, Groups* groups) {
  std::string key = GroupingKey(change.group.labels);
  if (change.kind == Change::Kind::kDelete) {
    groups->erase(key);
    return;
  }
  auto group = std::make_shared<Group>(change.group);
  if (change.kind == Change::Kind::kMerge) {
    if (const auto it = groups->find(key); it != groups->end()) {
      for (const auto& [name, stamped] : it->second->families) {
        group->families.try_emplace(name, stamped);
      }
    }
  }
  groups->insert_or_assign(std::move(key), std::move(group));
}

StateIdentity IdentityOf(std::string_view state_file) {
  return {state_file.size(), Crc32c(state_file)};
}

Result<std::unique_ptr<Journal>> Journal::Open(FileSystem& files, const std::string& path,
                                               const StateIdentity& state, Groups* groups,
                                               Replay* replay) {
  std::unique_ptr<Journal> journal(new Journal(files, path));
  Result<std::string> bytes = files.ReadAll(path);
  if (!bytes.ok() && bytes.status().code() != ErrorCode::kNotFound) return bytes.status();
  const std::string contents_bytes = bytes.ok() ? *std::move(bytes) : std::string();
  Contents contents = ReadContents(contents_bytes);
  if (contents.whole_bytes == 0) {
    // New, or torn while its header was written, when nothing had been answered yet.
    replay->torn_bytes = contents_bytes.size();
    NARTHEX_RETURN_IF_ERROR(journal->Restart(state));
    return journal;
  }
  // A mark with the identity of the state file says that all before it is in that file.
  auto first = contents.records.begin();
  bool belongs = contents.base == state;
  for (auto it = contents.records.begin(); it != contents.records.end(); ++it) {
    const auto* mark = std::get_if<StateIdentity>(&*it);
    if (mark == nullptr || !(*mark == state)) continue;
    belongs = true;
    first = it;
  }
  if (!belongs) {
    replay->moved_aside = path + ".orphaned";
    NARTHEX_RETURN_IF_ERROR(files.Rename(path, replay->moved_aside));
    NARTHEX_RETURN_IF_ERROR(journal->Restart(state));
    return journal;
  }
  for (auto it = first; it != contents.records.end(); ++it) {
    const auto* change = std::get_if<Change>(&*it);
    if (change == nullptr) continue;
    ApplyChange(*change, groups);
    ++replay->changes;
  }
  replay->torn_bytes = contents_bytes.size() - contents.whole_bytes;
  journal->bytes_ = contents.whole_bytes;
  NARTHEX_RETURN_IF_ERROR(journal->Reopen());
  return journal;
}

Status Journal::Reopen() {
  NARTHEX_TRY(std::unique_ptr<WritableFile> file,
              files_.OpenForWrite(path_, FileSystem::OpenMode::kAppend));
  NARTHEX_RETURN_IF_ERROR(file->Truncate(bytes_));
  file_ = std::move(file);
  return {};
}

void Journal::Add(const Change& change) {
  AppendFrame(EncodeChange(change), &pending_);
}

Status Journal::Commit() {
  if (pending_.empty()) return {};
  const std::string batch = std::exchange(pending_, {});
  if (file_ == nullptr) NARTHEX_RETURN_IF_ERROR(Reopen());
  Status status = file_->Append(batch);
  if (status.ok()) status = file_->Sync();
  if (status.ok()) {
    bytes_ += batch.size();
    return {};
  }
  // Half a batch may be in the file; the next commit begins by cutting it off.
  if (!file_->Truncate(bytes_).ok()) static_cast<void>(file_->Close());
  file_.reset();
  return status;
}

Status Journal::MarkState(const StateIdentity& next) {
  std::string record;
  ByteWriter writer(&record);
  writer.PutByte(static_cast<uint8_t>(RecordKind::kStateMark));
  writer.PutBigEndian64(next.size);
  writer.PutBigEndian32(next.checksum);
  AppendFrame(record, &pending_);
  return Commit();
}

Status Journal::Restart(const StateIdentity& state) {
  pending_.clear();
  file_.reset();
  const std::string header = Header(state);
  NARTHEX_RETURN_IF_ERROR(files_.WriteAtomically(path_, header));
  bytes_ = header.size();
  return Reopen();
}

}  // namespace narthex::push
