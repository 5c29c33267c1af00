#include "testing/simulated_disk.h"

#include <gtest/gtest.h>

namespace narthex::testing {
namespace {

using Mode = FileSystem::OpenMode;

std::string Text(SimulatedDisk& disk, const std::string& path) {
  const Result<std::string> text = disk.ReadAll(path);
  return text.ok() ? *text : "(" + text.status().message() + ")";
}

TEST(SimulatedDisk, KeepsWhatWasSyncedOnly) {
  SimulatedDisk disk(1);
  ASSERT_TRUE(disk.CreateDirectories("/d").ok());
  auto file = disk.OpenForWrite("/d/a", Mode::kTruncate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append("one").ok());
  ASSERT_TRUE((*file)->Sync().ok());
  EXPECT_FALSE(disk.IsDurable("/d/a", 3)) << "its name was not synced";
  ASSERT_TRUE(disk.SyncDirectory("/d").ok());
  ASSERT_TRUE(disk.SyncDirectory("/").ok());
  EXPECT_TRUE(disk.IsDurable("/d/a", 3));
  ASSERT_TRUE((*file)->Append("two").ok());
  const auto view = disk.Map("/d/a");
  ASSERT_TRUE((*file)->WriteAt(0, "ONE").ok());
  EXPECT_EQ((*view)->data(), "ONEtwo");
  EXPECT_FALSE(disk.IsDurable("/d/a", 3));
  ASSERT_TRUE(disk.Rename("/d/a", "/d/b").ok());
  disk.Crash(Survivors::kSynced);
  EXPECT_EQ(Text(disk, "/d/a"), "one");
  EXPECT_FALSE(disk.Exists("/d/b"));
  EXPECT_FALSE((*file)->Append("x").ok()) << "a file of a dead process";
  EXPECT_EQ((*view)->data(), "ONEtwo") << "a map outlives the crash, as memory that is not read";
}

TEST(SimulatedDisk, StrikesAtTheOperationNamed) {
  for (const FaultKind kind :
       {FaultKind::kCrash, FaultKind::kError, FaultKind::kNoSpace, FaultKind::kSyncError}) {
    SCOPED_TRACE(static_cast<int>(kind));
    SimulatedDisk disk(7);
    auto file = disk.OpenForWrite("/a", Mode::kTruncate);  // Operation 0.
    ASSERT_TRUE(file.ok());
    disk.Schedule({.kind = kind, .operation = 1, .operations = 2});
    const bool first = (*file)->Append(std::string(100, 'x')).ok();
    const bool second = (*file)->Append("y").ok();
    const bool sync = (*file)->Sync().ok();
    const bool third = (*file)->Append("z").ok();
    EXPECT_EQ(first, kind == FaultKind::kSyncError);
    EXPECT_EQ(second, kind == FaultKind::kError || kind == FaultKind::kSyncError);
    EXPECT_EQ(sync, kind == FaultKind::kError || kind == FaultKind::kNoSpace);
    EXPECT_EQ(third, kind != FaultKind::kCrash);
    EXPECT_EQ(disk.dead(), kind == FaultKind::kCrash);
    EXPECT_LE(Text(disk, "/a").size(), 102U);
    disk.Heal();
    EXPECT_TRUE((*file)->Append("again").ok());
  }
}

TEST(SimulatedDisk, TearsByPagesAndKeepsAPrefixOfAFoldersHistory) {
  size_t torn = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimulatedDisk disk(seed);
    auto file = disk.OpenForWrite("/a", Mode::kTruncate);
    ASSERT_TRUE((*file)->Append(std::string(20'000, 'x')).ok());
    ASSERT_TRUE((*file)->Sync().ok());
    ASSERT_TRUE(disk.SyncDirectory("/").ok());
    ASSERT_TRUE((*file)->WriteAt(0, std::string(20'000, 'y')).ok());
    ASSERT_TRUE(disk.CreateDirectories("/first").ok());
    ASSERT_TRUE(disk.CreateDirectories("/second").ok());
    disk.Crash(Survivors::kTorn);
    const std::string text = Text(disk, "/a");
    ASSERT_EQ(text.size(), 20'000U);
    torn += text.find('x') != std::string::npos && text.find('y') != std::string::npos;
    EXPECT_TRUE(disk.Exists("/first") || !disk.Exists("/second"));
  }
  EXPECT_GT(torn, 30U);
}

}  // namespace
}  // namespace narthex::testing
