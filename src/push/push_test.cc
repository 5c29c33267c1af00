#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "narthex/client/exposition.h"
#include "narthex/client/text_reader.h"
#include "push/aggregate.h"
#include "push/family_proto.h"
#include "push/gather.h"
#include "push/push_path.h"
#include "push/state_file.h"
#include "push/store.h"

namespace narthex::push {
namespace {

std::vector<client::MetricFamily> Read(std::string_view text) {
  return *client::ReadText(text);
}

std::string PageOf(const Groups& groups) {
  std::string text;
  for (const client::MetricFamily& family : Gather({}, groups).families) {
    if (family.name == kPushTimeName || family.name == kPushFailureTimeName) continue;
    EXPECT_TRUE(client::WriteText(family, text).ok());
  }
  return text;
}

// A store with answers awaited.
class Gateway {
 public:
  explicit Gateway(StoreOptions options = {}) : options_(std::move(options)) { Open(); }

  void Open() {
    Result<std::unique_ptr<Store>> store = Store::Open(options_, {});
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_ = *std::move(store);
  }
  Status Push(PushRequest::Kind kind, client::Labels labels, std::string_view text,
              std::optional<int64_t> ttl = std::nullopt) {
    PushRequest request;
    request.kind = kind;
    request.labels = std::move(labels);
    request.families = Read(text);
    request.ttl_nanos = ttl;
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Status> verdict;
    request.done = [&](const Status& status) {
      const std::lock_guard lock(mutex);
      verdict = status;
      changed.notify_one();
    };
    store_->Submit(std::move(request));
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return verdict.has_value(); });
    return *verdict;
  }
  Status Put(client::Labels labels, std::string_view text) {
    return Push(PushRequest::Kind::kReplace, std::move(labels), text);
  }
  Store& store() { return *store_; }
  void Close() {
    EXPECT_TRUE(store_->Stop().ok());
    store_.reset();
  }
  void Drop() { store_.reset(); }

 private:
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

const client::Labels kJob = {{"job", "j"}};

TEST(PushPath, ReadsLabelsOrSaysWhatIsWrong) {
  struct Case {
    std::string job, rest;
    PathOptions options;
    std::string want;  // The grouping key with '|' for 0xFF, or the error.
  };
  const Case kCases[] = {
      {"j", "", {}, "job|j"},
      {"j", "/", {}, "job|j"},
      {"j", "/b/2/a/1", {}, "a|1|b|2|job|j"},
      {"j", "/job/other", {}, "job|j"},
      {"L3Zhci90bXA", "", {.job_base64 = true}, "job|/var/tmp"},
      {"j", "/path@base64/L3Zhci90bXA=", {}, "job|j|path|/var/tmp"},
      {"j", "/empty@base64/=", {}, "empty||job|j"},
      {"=", "", {.job_base64 = true}, "job name is required"},
      {"$$$",
       "",
       {.job_base64 = true},
       "invalid base64 encoding in job name \"\": illegal base64 data at input byte 0"},
      {"j",
       "/l@base64/a",
       {},
       "invalid base64 encoding for label l=\"a\": illegal base64 data at input byte 0"},
      {"j", "/a", {}, "odd number of components in label string \"/a\""},
      {"j", "/1a/b", {}, "improper label name \"1a\""},
      {"j", "/__a/b", {}, "improper label name \"__a\""},
      {"j", "/U__a_2e_b/x", {.utf8_names = true}, "a.b|x|job|j"},
      {"j", "/U__a_zz_b/x", {.utf8_names = true}, "U__a_zz_b|x|job|j"},
      {"j", "/lä/x", {.utf8_names = true}, "job|j|lä|x"},
  };
  for (const Case& c : kCases) {
    const Result<client::Labels> labels = ParsePushPath(c.job, c.rest, c.options);
    std::string got = labels.ok() ? GroupingKey(*labels) : labels.status().message();
    std::replace(got.begin(), got.end(), '\xff', '|');
    EXPECT_EQ(got, c.want) << c.job << c.rest;
  }
}

TEST(Families, SurviveProtobufWhole) {
  client::MetricFamily family = Read(
      "# HELP h help\n# TYPE h histogram\n"
      "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
      "h_sum 3\nh_count 2\n")[0];
  auto value = std::make_shared<client::HistogramValue>(
      *std::get<std::shared_ptr<const client::HistogramValue>>(family.metrics[0].value));
  value->created = client::Timestamp{100, 5};
  value->native = client::NativeBuckets{.schema = -2, .zero_threshold = 1e-3, .zero_count = 4};
  value->native->positive_spans = {{-3, 2}, {5, 1}};
  value->native->positive_deltas = {1, -1, 7};
  value->native->negative_counts = {1.5};
  value->native->negative_spans = {{0, 1}};
  value->buckets[0].exemplar = std::make_shared<client::Exemplar>(
      client::Exemplar{{{"trace", "x"}}, 0.5, client::Timestamp{7, 8}});
  family.metrics[0].value = std::shared_ptr<const client::HistogramValue>(value);
  family.unit = "seconds";
  const std::string bytes = EncodeFamily(family);
  const Result<client::MetricFamily> again = DecodeFamily(bytes);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(EncodeFamily(*again), bytes);
  EXPECT_EQ(again->unit, "seconds");
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    static_cast<void>(DecodeFamily(std::string_view(bytes).substr(0, cut)));  // Must not crash.
  }
  EXPECT_EQ(DecodeFamilies("\x05"
                           "ab")
                .status()
                .message(),
            "unexpected EOF");
}

TEST(Store, ReplacesMergesAndDeletes) {
  Gateway gateway;
  ASSERT_TRUE(gateway.Put(kJob, "# TYPE a gauge\na{x=\"1\"} 1\nb 2\n").ok());
  ASSERT_TRUE(gateway.Push(PushRequest::Kind::kMerge, kJob, "b 3\n").ok());
  EXPECT_EQ(PageOf(gateway.store().groups()),
            "# TYPE a gauge\na{instance=\"\",job=\"j\",x=\"1\"} 1\n"
            "# TYPE b untyped\nb{instance=\"\",job=\"j\"} 3\n");
  ASSERT_TRUE(gateway.Put(kJob, "c 1\n").ok());
  EXPECT_EQ(PageOf(gateway.store().groups()), "# TYPE c untyped\nc{instance=\"\",job=\"j\"} 1\n");
  EXPECT_TRUE(gateway.Push(PushRequest::Kind::kDelete, {{"job", "unknown"}}, "").ok());
  EXPECT_TRUE(gateway.Push(PushRequest::Kind::kDelete, kJob, "").ok());
  EXPECT_TRUE(gateway.store().groups().empty());
  EXPECT_EQ(gateway.store().series_count(), 0u);
}

TEST(Store, RefusesWhatDoesNotFitAndKeepsTheRest) {
  struct Case {
    std::string_view stored, pushed, error;
  };
  const Case kCases[] = {
      {"# TYPE a gauge\na 1\n", "# TYPE a counter\na 1\n", "is not a COUNTER"},
      {"# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", "h_count 1\n",
       "collected metric named \"h_count\" collides with previously collected histogram named "
       "\"h\""},
      {"s_sum 1\n", "# TYPE s summary\ns_sum 1\ns_count 1\n",
       "collected histogram or summary named \"s\" collides"},
      {"a 1\n", "a{instance=\"\"} 1 5\n", "pushed metrics must not have timestamps"},
  };
  for (const Case& c : kCases) {
    Gateway gateway;
    ASSERT_TRUE(gateway.Put(kJob, c.stored).ok());
    const std::string before = PageOf(gateway.store().groups());
    const client::Labels other = {{"job", "k"}};
    const Status status = gateway.Put(other, c.pushed);
    EXPECT_EQ(status.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(status.message(), testing::HasSubstr(c.error));
    EXPECT_EQ(PageOf(gateway.store().groups()), before);
    EXPECT_FALSE(gateway.store().groups().at(GroupingKey(other))->last_push_successful());
    // The index is as it was: the same again, and something that fits.
    EXPECT_FALSE(gateway.Put(other, c.pushed).ok());
    EXPECT_TRUE(gateway.Put(other, "fits 1\n").ok());
    EXPECT_TRUE(gateway.store().groups().at(GroupingKey(other))->last_push_successful());
  }
}

// The index has to agree with gathering everything, whatever is pushed in whatever order.
TEST(Store, VerdictsAreThoseOfGathering) {
  std::mt19937 random(7);
  const auto pick = [&](size_t n) { return random() % n; };
  Gateway checked;
  size_t refused = 0;
  for (int i = 0; i < 1500; ++i) {
    const client::Labels labels = {{"job", std::string(1, static_cast<char>('a' + pick(3)))}};
    client::Labels full = labels;
    if (pick(2) == 0) full.insert(full.begin(), {"instance", "i"});
    constexpr std::string_view kTexts[] = {
        "m 1\n",
        "# TYPE m counter\nm 1\n",
        "m{instance=\"i\"} 1\n",
        "# TYPE m summary\nm_sum 1\nm_count 1\n",
        "# TYPE m histogram\nm_bucket{le=\"+Inf\"} 1\nm_sum 1\nm_count 1\n",
        "m_count 1\n",
        "# TYPE m_bucket gauge\nm_bucket 1\n",
        "n{x=\"1\"} 1\nn{x=\"2\"} 1\n",
    };
    const std::string_view text = kTexts[pick(std::size(kTexts))];
    const auto kind = static_cast<PushRequest::Kind>(pick(10) == 0 ? 3 : pick(2));
    // What a naive gateway says.
    Groups groups = checked.store().groups();
    Change change{
        kind == PushRequest::Kind::kReplace ? Change::Kind::kReplace : Change::Kind::kMerge,
        {full, {}, 0}};
    for (client::MetricFamily& family : Read(text)) {
      ForceLabels(full, &family);
      const std::string name = family.name;
      change.group.families[name] = {{}, std::make_shared<client::MetricFamily>(std::move(family))};
    }
    ApplyChange(change, &groups);
    const bool fits = kind == PushRequest::Kind::kDelete || Gather({}, groups).errors.empty();
    const Status verdict = checked.Push(kind, full, text);
    ASSERT_EQ(verdict.ok(), fits) << i << " " << text << verdict.message();
    refused += fits ? 0 : 1;
  }
  EXPECT_GT(refused, 100u);
}

TEST(Store, KeepsLimits) {
  Gateway gateway({.group_series_max = 4, .series_max = 7});
  EXPECT_TRUE(gateway.Put(kJob, "a 1\nb 1\n").ok());
  const Status status = gateway.Push(PushRequest::Kind::kMerge, kJob, "c 1\n");
  EXPECT_EQ(status.code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(status.message(), "the group would have 5 series, more than the limit of 4 a group");
  EXPECT_EQ(gateway.Put({{"job", "k"}}, "d 1\ne 1\n").code(), ErrorCode::kLimitExceeded);
}

class ManualClock : public Clock {
 public:
  int64_t NowNanos() const override { return now; }
  std::atomic<int64_t> now{1'000 * kNanosPerSecond};
};

TEST(Store, LetsGroupsGo) {
  ManualClock clock;
  Gateway gateway({.ttl_nanos = 10 * kNanosPerSecond, .clock = &clock});
  ASSERT_TRUE(gateway.Put(kJob, "a 1\n").ok());
  ASSERT_TRUE(
      gateway.Push(PushRequest::Kind::kReplace, {{"job", "long"}}, "b 1\n", 60 * kNanosPerSecond)
          .ok());
  clock.now += 11 * kNanosPerSecond;
  ASSERT_TRUE(gateway.Push(PushRequest::Kind::kDelete, {{"job", "x"}}, "").ok());
  EXPECT_EQ(PageOf(gateway.store().groups()),
            "# TYPE b untyped\nb{instance=\"\",job=\"long\"} 1\n");
}

TEST(Store, AddsUpWhenAsked) {
  Gateway gateway;
  constexpr std::string_view kText =
      "# TYPE c counter\nc{x=\"1\"} 2\n# TYPE g gauge\ng 5\n"
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
  const auto aggregate = PushRequest::Kind::kAggregate;
  ASSERT_TRUE(gateway.Push(aggregate, kJob, kText).ok());
  ASSERT_TRUE(gateway.Push(aggregate, kJob, kText).ok());
  ASSERT_TRUE(gateway.Push(aggregate, kJob, "# TYPE c counter\nc{x=\"2\"} 1\n").ok());
  EXPECT_EQ(PageOf(gateway.store().groups()),
            "# TYPE c counter\nc{instance=\"\",job=\"j\",x=\"1\"} 4\n"
            "c{instance=\"\",job=\"j\",x=\"2\"} 1\n"
            "# TYPE g gauge\ng{instance=\"\",job=\"j\"} 5\n"
            "# TYPE h histogram\nh_bucket{instance=\"\",job=\"j\",le=\"1\"} 2\n"
            "h_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 4\n"
            "h_sum{instance=\"\",job=\"j\"} 6\nh_count{instance=\"\",job=\"j\"} 4\n");
  const Status status = gateway.Push(
      aggregate, kJob,
      "# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n");
  EXPECT_THAT(status.message(), testing::HasSubstr("has other buckets"));
}

TEST(Persistence, GoesOnAfterStopAndAfterLoss) {
  const TemporaryDirectory folder;
  const std::string file = JoinPath(folder.path(), "state");
  Gateway gateway({.file = file});
  ASSERT_TRUE(gateway.Put(kJob, "a 1\n").ok());
  ASSERT_TRUE(gateway.Push(PushRequest::Kind::kMerge, kJob, "b 2\n").ok());
  EXPECT_FALSE(gateway.Put(kJob, "a 1 5\n").ok());
  const std::string page = PageOf(gateway.store().groups());

  // What is on disk before any state file was written: the journal alone, also with a torn end.
  const std::string copy = JoinPath(folder.path(), "copy");
  std::filesystem::copy_file(file + ".journal", copy + ".journal");
  {
    std::ofstream(copy + ".journal", std::ios::app | std::ios::binary)
        << std::string("\0\0\0\x10torn", 8);
    Gateway crashed({.file = copy});
    EXPECT_EQ(PageOf(crashed.store().groups()), page);
    EXPECT_FALSE(crashed.store().groups().begin()->second->last_push_successful());
    ASSERT_TRUE(crashed.Put(kJob, "c 3\n").ok());
    crashed.Close();
  }
  {
    Gateway again({.file = copy});
    EXPECT_EQ(PageOf(again.store().groups()), "# TYPE c untyped\nc{instance=\"\",job=\"j\"} 3\n");
  }
  gateway.Close();
  Gateway reopened({.file = file});
  EXPECT_EQ(PageOf(reopened.store().groups()), page);
}

TEST(Persistence, JournalOfAnotherStateFileIsMovedAside) {
  const TemporaryDirectory folder;
  const std::string file = JoinPath(folder.path(), "state");
  {
    Gateway gateway({.file = file});
    ASSERT_TRUE(gateway.Put(kJob, "a 1\n").ok());
    std::filesystem::copy_file(file + ".journal", file + ".old");
    gateway.Close();
  }
  // Somebody else wrote a state file; the journal of before must not be laid over it.
  Groups groups;
  ApplyChange({Change::Kind::kReplace, {{{"job", "k"}}, {}, 0}}, &groups);
  std::filesystem::rename(file + ".old", file + ".journal");
  std::ofstream(file, std::ios::binary) << EncodeStateFile(groups);
  Gateway gateway({.file = file});
  EXPECT_EQ(gateway.store().groups().size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(file + ".journal.orphaned"));
}

// A file system whose disk becomes full.
class FullDisk : public FileSystem {
 public:
  struct File : WritableFile {
    File(std::unique_ptr<WritableFile> f, std::atomic<bool>* full)
        : inner(std::move(f)), full_(full) {}
    Status Append(std::string_view bytes) override {
      if (!*full_) return inner->Append(bytes);
      static_cast<void>(inner->Append(bytes.substr(0, bytes.size() / 2)));
      return Status(ErrorCode::kIo, "no space left on device");
    }
    Status WriteAt(uint64_t offset, std::string_view bytes) override {
      return inner->WriteAt(offset, bytes);
    }
    Status Sync() override { return inner->Sync(); }
    Status Truncate(uint64_t size) override { return inner->Truncate(size); }
    Status Preallocate(uint64_t size) override { return inner->Preallocate(size); }
    Status Close() override { return inner->Close(); }
    std::unique_ptr<WritableFile> inner;
    std::atomic<bool>* full_;
  };
  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path,
                                                     OpenMode mode) override {
    NARTHEX_TRY(std::unique_ptr<WritableFile> file, Posix().OpenForWrite(path, mode));
    return std::unique_ptr<WritableFile>(new File(std::move(file), &full));
  }
  Result<std::unique_ptr<MappedFile>> Map(const std::string& p) override { return Posix().Map(p); }
  Result<std::string> ReadAll(const std::string& p) override { return Posix().ReadAll(p); }
  Result<std::vector<FileInfo>> List(const std::string& p) override { return Posix().List(p); }
  Result<FileInfo> Stat(const std::string& p) override { return Posix().Stat(p); }
  Status CreateDirectories(const std::string& p) override { return Posix().CreateDirectories(p); }
  Status Rename(const std::string& a, const std::string& b) override {
    return Posix().Rename(a, b);
  }
  Status RemoveFile(const std::string& p) override { return Posix().RemoveFile(p); }
  Status RemoveAll(const std::string& p) override { return Posix().RemoveAll(p); }
  Status HardLink(const std::string& a, const std::string& b) override {
    return Posix().HardLink(a, b);
  }
  Status SyncDirectory(const std::string& p) override { return Posix().SyncDirectory(p); }
  std::atomic<bool> full{false};
};

TEST(Persistence, FullDiskRefusesAndRecovers) {
  const TemporaryDirectory folder;
  FullDisk disk;
  const std::string file = JoinPath(folder.path(), "state");
  Gateway gateway({.file = file, .files = &disk});
  ASSERT_TRUE(gateway.Put(kJob, "a 1\n").ok());
  const std::string page = PageOf(gateway.store().groups());
  disk.full = true;
  const Status refused = gateway.Put(kJob, "b 2\n");
  EXPECT_EQ(refused.code(), ErrorCode::kIo);
  EXPECT_EQ(refused.message(), "cannot store the push: no space left on device");
  EXPECT_EQ(PageOf(gateway.store().groups()), page);  // Still serves.
  disk.full = false;
  ASSERT_TRUE(gateway.Push(PushRequest::Kind::kMerge, kJob, "c 3\n").ok());
  const std::string after = PageOf(gateway.store().groups());
  std::filesystem::copy_file(file + ".journal", file + "2.journal");
  Gateway copy({.file = file + "2"});
  EXPECT_EQ(PageOf(copy.store().groups()), after);
}

TEST(StateFile, SurvivesARoundTripAndAnyDamage) {
  Groups groups;
  Change change{Change::Kind::kReplace, {{{"job", "j"}, {"l", "ü"}}, {}, 0}};
  for (client::MetricFamily& family : Read("# HELP a x\na 1\nb{c=\"d\"} NaN\n")) {
    const std::string name = family.name;
    change.group.families[name] = {client::Timestamp{1'790'000'000, 42},
                                   std::make_shared<client::MetricFamily>(std::move(family))};
  }
  ApplyChange(change, &groups);
  const std::string bytes = EncodeStateFile(groups);
  const Result<Groups> again = DecodeStateFile(bytes);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(EncodeStateFile(*again), bytes);
  EXPECT_EQ(again->begin()->second->families.at("a").time.nanos, 42);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(DecodeStateFile(std::string_view(bytes).substr(0, cut)).ok());
  }
  std::mt19937 random(3);
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    static_cast<void>(DecodeStateFile(damaged));  // Must end, and not crash.
  }
}

TEST(StateFile, ReadsUpstreams) {
  const char* folder = std::getenv("NARTHEX_CONFORMANCE_DIR");
  const std::filesystem::path root =
      folder != nullptr ? std::filesystem::path(folder)
                        : std::filesystem::path(NARTHEX_SOURCE_DIR) / "../shared/conformance";
  const auto read = [&](const char* name) {
    std::ifstream in(root / "pushgateway" / name, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  };
  const std::string bytes = read("persistence.state");
  if (bytes.empty()) GTEST_SKIP() << "no recorded state file";
  const Result<Groups> groups = DecodeStateFile(bytes);
  ASSERT_TRUE(groups.ok()) << groups.status().message();
  std::string page;
  for (const client::MetricFamily& family : Gather({}, *groups).families) {
    ASSERT_TRUE(client::WriteText(family, page).ok());
  }
  EXPECT_EQ(page, read("persistence.metrics"));
  EXPECT_FALSE(DecodeStateFile(read("persistence.truncated.state")).ok());
}

}  // namespace
}  // namespace narthex::push
