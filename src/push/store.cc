#include "push/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "push/aggregate.h"
#include "push/gather.h"
#include "push/state_file.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex::push {
namespace {

// How often groups past their time are looked for.
constexpr std::chrono::seconds kTick{1};
// A journal longer than this and than kJournalFactor state files is replaced by a state file before
// the interval is over: it would take too long to replay.
constexpr uint64_t kJournalBytesMin = 16 << 20;
constexpr uint64_t kJournalFactor = 4;

int64_t ExpiryOf(int64_t now_nanos, int64_t ttl_nanos) {
  return ttl_nanos == 0 ? 0 : (now_nanos + ttl_nanos) / kNanosPerMilli;
}

}  // namespace

Store::Store(StoreOptions options, std::vector<client::MetricFamily> own)
    : options_(std::move(options)), own_(std::move(own)) {}

Store::~Store() {
  if (thread_.joinable()) static_cast<void>(Stop());
}

Result<std::unique_ptr<Store>> Store::Open(StoreOptions options,
                                           std::vector<client::MetricFamily> own) {
  std::unique_ptr<Store> store(new Store(std::move(options), std::move(own)));
  store->index_.SetOwn(store->own_);
  if (!store->options_.file.empty()) NARTHEX_RETURN_IF_ERROR(store->Load());
  for (const auto& [key, group] : store->working_) {
    for (const auto& [name, stamped] : group->families) store->index_.Add(*stamped.family);
  }
  store->published_ = store->working_;
  store->series_count_ = store->index_.series_count();
  store->last_state_nanos_ = MonotonicNanos();
  store->thread_ = std::thread([raw = store.get()] { raw->Run(); });
  return store;
}

Status Store::Load() {
  FileSystem& files = *options_.files;
  StateIdentity identity;
  Result<std::string> bytes = files.ReadAll(options_.file);
  if (bytes.ok()) {
    Result<Groups> groups = DecodeStateFile(*bytes);
    if (groups.ok()) {
      working_ = *std::move(groups);
      identity = IdentityOf(*bytes);
    } else {
      const std::string aside = options_.file + ".unreadable";
      LOG_ERROR("could not load persisted metrics", {"err", groups.status().message()},
                {"moved_to", aside});
      NARTHEX_RETURN_IF_ERROR(files.Rename(options_.file, aside));
    }
  } else if (bytes.status().code() != ErrorCode::kNotFound) {
    return bytes.status();
  }
  Journal::Replay replay;
  NARTHEX_TRY(journal_,
              Journal::Open(files, options_.file + ".journal", identity, &working_, &replay));
  changed_ = replay.changes > 0;
  if (replay.torn_bytes > 0) {
    LOG_WARN("cut off the torn end of the journal of pushes", {"bytes", replay.torn_bytes});
  }
  if (!replay.moved_aside.empty()) {
    LOG_WARN("the state file was written by another program since; its journal is not applied",
             {"moved_to", replay.moved_aside});
  }
  return {};
}

void Store::Submit(PushRequest request) {
  std::unique_lock lock(queue_mutex_);
  queue_not_full_.wait(lock, [this] { return queue_.size() < kQueueMax; });
  queue_.push_back(std::move(request));
  queue_not_empty_.notify_one();
}

Status Store::Healthy() const {
  const std::lock_guard lock(queue_mutex_);
  if (queue_.size() < kQueueMax) return {};
  return Status(ErrorCode::kUnavailable, "write queue is full");
}

Groups Store::groups() const {
  const std::shared_lock lock(published_mutex_);
  return published_;
}

Status Store::Stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  queue_not_empty_.notify_all();
  if (thread_.joinable()) thread_.join();
  return stop_status_;
}

void Store::Run() {
  bool stopping = false;
  while (!stopping) {
    std::vector<PushRequest> batch;
    {
      std::unique_lock lock(queue_mutex_);
      queue_not_empty_.wait_for(lock, kTick, [this] { return stopping_ || !queue_.empty(); });
      batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
      queue_.clear();
      stopping = stopping_;
    }
    queue_not_full_.notify_all();
    Work(std::move(batch));
    const bool due = MonotonicNanos() - last_state_nanos_ >= options_.interval_nanos;
    const bool long_journal = journal_ != nullptr && journal_->bytes() > kJournalBytesMin &&
                              journal_->bytes() > kJournalFactor * state_bytes_;
    if (journal_ == nullptr || !changed_ || !(due || long_journal || stopping)) continue;
    const Status status = WriteState();
    last_state_nanos_ = MonotonicNanos();
    if (status.ok()) {
      LOG_INFO("metrics persisted", {"file", options_.file});
    } else {
      LOG_ERROR("error persisting metrics", {"err", status.message()});
    }
    if (stopping) stop_status_ = status;
  }
}

void Store::Work(std::vector<PushRequest> batch) {
  const int64_t now_nanos = options_.clock->NowNanos();
  ExpireGroups(now_nanos / kNanosPerMilli);
  std::vector<Taken> taken;
  taken.reserve(batch.size());
  for (PushRequest& request : batch) {
    const Status verdict = Apply(&request, options_.clock->NowNanos());
    taken.push_back({std::move(request.done), verdict});
  }
  Status written;
  if (journal_ != nullptr) written = journal_->Commit();
  if (written.ok()) {
    changed_ = changed_ || !undo_.empty();
    Publish();
  } else {
    LOG_ERROR("pushes refused: cannot write them", {"err", written.message()},
              {"pushes", taken.size()});
    UndoTo(0);
  }
  for (Taken& push : taken) {
    if (!push.done) continue;
    push.done(written.ok() || !push.verdict.ok() ? push.verdict
                                                 : written.WithPrefix("cannot store the push: "));
  }
}

Status Store::Apply(PushRequest* request, int64_t now_nanos) {
  const auto now = client::Timestamp::FromUnixNanos(now_nanos);
  const auto remove = [this](const std::shared_ptr<const Group>& group) {
    const client::Labels labels = group->labels;
    Put(GroupingKey(labels), nullptr);
    if (journal_ != nullptr) journal_->Add({Change::Kind::kDelete, {labels, {}, 0}});
  };
  if (request->kind == PushRequest::Kind::kWipe) {
    while (!working_.empty()) remove(working_.begin()->second);
    return {};
  }
  if (request->kind == PushRequest::Kind::kDelete) {
    const auto it = working_.find(GroupingKey(request->labels));
    if (it != working_.end()) remove(it->second);
    return {};
  }
  const size_t mark = undo_.size();
  Status status = ApplyPush(request, now);
  if (!status.ok()) {
    UndoTo(mark);
    RecordFailure(request->labels, now);
  }
  return status;
}

Status Store::ApplyPush(PushRequest* request, client::Timestamp now) {
  if (std::any_of(request->families.begin(), request->families.end(), HasTimestamps)) {
    return Status(ErrorCode::kInvalidInput, "pushed metrics must not have timestamps");
  }
  const std::string key = GroupingKey(request->labels);
  const auto known = working_.find(key);
  const Group* before = known == working_.end() ? nullptr : known->second.get();

  auto group = std::make_shared<Group>();
  Change change{Change::Kind::kReplace, {request->labels, {}, 0}};
  if (before != nullptr && request->kind != PushRequest::Kind::kReplace) {
    *group = *before;
    change.kind = Change::Kind::kMerge;
  } else if (before != nullptr) {
    const auto failure = before->families.find(kPushFailureTimeName);
    if (failure != before->families.end()) group->families.insert(*failure);
  }
  group->labels = request->labels;
  const int64_t ttl = request->ttl_nanos.value_or(options_.ttl_nanos);
  group->expires_ms = ExpiryOf(now.seconds * kNanosPerSecond + now.nanos, ttl);

  const auto set = [&](std::string name, FamilyPtr family) {
    StampedFamily stamped{now, std::move(family)};
    change.group.families.insert_or_assign(name, stamped);
    group->families.insert_or_assign(std::move(name), std::move(stamped));
  };
  for (client::MetricFamily& pushed : request->families) {
    ForceLabels(request->labels, &pushed);
    const std::string name = pushed.name;
    const auto stored = group->families.find(name);
    if (request->kind == PushRequest::Kind::kAggregate && stored != group->families.end() &&
        IsSound(pushed)) {
      NARTHEX_TRY(FamilyPtr sum, AddFamilies(*stored->second.family, pushed));
      set(name, std::move(sum));
    } else {
      set(name, std::make_shared<client::MetricFamily>(std::move(pushed)));
    }
  }
  set(kPushTimeName, MakeTimeGauge(kPushTimeName, request->labels, now));
  if (!group->families.contains(kPushFailureTimeName)) {
    set(kPushFailureTimeName, MakeTimeGauge(kPushFailureTimeName, request->labels, std::nullopt));
  }
  change.group.expires_ms = group->expires_ms;
  NARTHEX_RETURN_IF_ERROR(CheckLimits(*group, before == nullptr ? 0 : before->series_count()));

  Put(key, group);
  if (options_.check && !index_.Fits()) {
    // Rare: find the words, as upstream does for every push.
    Groups others = working_;
    others.erase(key);
    const GatheredPage page = Gather(own_, others, group.get());
    if (!page.errors.empty()) return Status(ErrorCode::kInvalidInput, page.error_text());
  }
  if (journal_ != nullptr) {
    // A replaced group keeps the time of its last failure, which the record then needs.
    if (change.kind == Change::Kind::kReplace) change.group = *group;
    journal_->Add(change);
  }
  return {};
}

Status Store::CheckLimits(const Group& group, size_t before) const {
  const size_t count = group.series_count();
  if (options_.group_series_max > 0 && count > options_.group_series_max) {
    return MakeError(ErrorCode::kLimitExceeded,
                     "the group would have {} series, more than the limit of {} a group", count,
                     options_.group_series_max);
  }
  const size_t total = index_.series_count() - before + count;
  if (options_.series_max > 0 && total > options_.series_max) {
    return MakeError(ErrorCode::kLimitExceeded,
                     "all groups together would have {} series, more than the limit of {}", total,
                     options_.series_max);
  }
  return {};
}

void Store::RecordFailure(const client::Labels& labels, client::Timestamp now) {
  const std::string key = GroupingKey(labels);
  const auto known = working_.find(key);
  auto group =
      known == working_.end() ? std::make_shared<Group>() : std::make_shared<Group>(*known->second);
  group->labels = labels;
  if (known == working_.end()) {
    group->expires_ms = ExpiryOf(now.seconds * kNanosPerSecond + now.nanos, options_.ttl_nanos);
  }
  group->families.insert_or_assign(
      kPushFailureTimeName, StampedFamily{now, MakeTimeGauge(kPushFailureTimeName, labels, now)});
  group->families.try_emplace(
      kPushTimeName, StampedFamily{now, MakeTimeGauge(kPushTimeName, labels, std::nullopt)});
  if (journal_ != nullptr) {
    Change change{Change::Kind::kMerge, {labels, {}, group->expires_ms}};
    for (const char* name : {kPushFailureTimeName, kPushTimeName}) {
      change.group.families.insert(*group->families.find(name));
    }
    journal_->Add(change);
  }
  Put(key, std::move(group));
}

void Store::ExpireGroups(int64_t now_ms) {
  if (now_ms < first_expiry_ms_) return;
  first_expiry_ms_ = INT64_MAX;
  std::vector<std::shared_ptr<const Group>> old;
  for (const auto& [key, group] : working_) {
    if (group->expires_ms == 0) continue;
    if (group->expires_ms <= now_ms) {
      old.push_back(group);
    } else {
      first_expiry_ms_ = std::min(first_expiry_ms_, group->expires_ms);
    }
  }
  for (const std::shared_ptr<const Group>& group : old) {
    Put(GroupingKey(group->labels), nullptr);
    if (journal_ != nullptr) journal_->Add({Change::Kind::kDelete, {group->labels, {}, 0}});
  }
}

void Store::Put(const std::string& key, std::shared_ptr<const Group> group) {
  const auto it = working_.find(key);
  std::shared_ptr<const Group> before = it == working_.end() ? nullptr : it->second;
  // Families that stay are not taken out of the index and put in again.
  const auto stays = [](const Group* other, const std::string& name, const FamilyPtr& family) {
    if (other == nullptr) return false;
    const auto found = other->families.find(name);
    return found != other->families.end() && found->second.family == family;
  };
  if (before != nullptr) {
    for (const auto& [name, stamped] : before->families) {
      if (!stays(group.get(), name, stamped.family)) index_.Remove(*stamped.family);
    }
  }
  if (group != nullptr) {
    for (const auto& [name, stamped] : group->families) {
      if (!stays(before.get(), name, stamped.family)) index_.Add(*stamped.family);
    }
  }
  undo_.push_back({key, std::move(before)});
  if (group == nullptr) {
    if (it != working_.end()) working_.erase(it);
  } else {
    if (group->expires_ms != 0) first_expiry_ms_ = std::min(first_expiry_ms_, group->expires_ms);
    working_.insert_or_assign(key, std::move(group));
  }
}

void Store::UndoTo(size_t mark) {
  while (undo_.size() > mark) {
    Undo last = std::move(undo_.back());
    undo_.pop_back();
    Put(last.key, std::move(last.before));
    undo_.pop_back();  // What Put() itself noted.
  }
}

void Store::Publish() {
  if (undo_.empty()) return;
  // Dropped outside of the lock.
  std::vector<std::shared_ptr<const Group>> replaced;
  {
    const std::unique_lock lock(published_mutex_);
    for (const Undo& change : undo_) {
      const auto it = working_.find(change.key);
      const auto published = published_.find(change.key);
      if (published != published_.end()) replaced.push_back(published->second);
      if (it != working_.end()) {
        published_.insert_or_assign(change.key, it->second);
      } else if (published != published_.end()) {
        published_.erase(published);
      }
    }
  }
  series_count_.store(index_.series_count(), std::memory_order_relaxed);
  undo_.clear();
}

Status Store::WriteState() {
  const std::string bytes = EncodeStateFile(working_);
  const StateIdentity identity = IdentityOf(bytes);
  state_bytes_ = bytes.size();
  NARTHEX_RETURN_IF_ERROR(journal_->MarkState(identity));
  NARTHEX_RETURN_IF_ERROR(options_.files->WriteAtomically(options_.file, bytes));
  NARTHEX_RETURN_IF_ERROR(journal_->Restart(identity));
  // The state file cannot say when groups go, since upstream's groups stay.
  for (const auto& [key, group] : working_) {
    if (group->expires_ms != 0) {
      journal_->Add({Change::Kind::kMerge, {group->labels, {}, group->expires_ms}});
    }
  }
  NARTHEX_RETURN_IF_ERROR(journal_->Commit());
  changed_ = false;
  return {};
}

}  // namespace narthex::push
