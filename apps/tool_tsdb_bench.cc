// `tsdb bench write`: how fast series of a file are appended.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "apps/tool_tsdb.h"
#include "tsdb/db/db.h"
#include "util/file.h"
#include "util/hash_map.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/thread_pool.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr int64_t kIntervalMs = 30'000;
constexpr int64_t kScrapesPerRound = 100;
constexpr size_t kSeriesPerBatch = 1000;

// Lines of {"name":"value",…}; a line that was there before is left out.
Result<std::vector<Labels>> ReadSeriesFile(const std::string& path, int64_t limit) {
  NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(path));
  std::vector<Labels> series;
  HashSet<uint64_t> seen;
  std::string line;
  for (std::string_view rest = text;
       !rest.empty() && static_cast<int64_t>(series.size()) < limit;) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    line.clear();
    for (const char c : rest.substr(0, end)) {
      if (c != '"' && c != '{' && c != '}' && c != '\r') line += c;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
    LabelsBuilder builder;
    for (const std::string_view pair : Split(line, ',')) {
      const size_t colon = pair.find(':');
      if (colon == pair.npos) {
        return MakeError(ErrorCode::kInvalidInput, "{}: no label in {}", path, GoQuote(pair));
      }
      const std::string_view value = pair.substr(colon + 1);
      builder.Set(pair.substr(0, colon), value.substr(0, value.find(':')));
    }
    Labels labels = builder.Build();
    if (seen.insert(labels.Hash()).second) series.push_back(std::move(labels));
  }
  return series;
}

// One target: its series, scraped time after time from `from_ms` on.
Status Ingest(tsdb::Db& db, std::span<const Labels> series, int64_t from_ms,
              std::atomic<uint64_t>& total) {
  std::vector<storage::SeriesRef> refs(series.size(), 0);
  double value = 123456789;
  for (int64_t scrape = 1; scrape <= kScrapesPerRound; ++scrape) {
    value += 1000;
    const std::unique_ptr<storage::Appender> appender = db.NewAppender();
    for (size_t i = 0; i < series.size(); ++i) {
      NARTHEX_TRY(refs[i],
                  appender->Append(refs[i], series[i], from_ms + scrape * kIntervalMs, value, {}));
    }
    NARTHEX_RETURN_IF_ERROR(appender->Commit());
    total += series.size();
  }
  return {};
}

Result<int64_t> Stage(std::string_view name, const std::function<Status()>& work) {
  PrintOut(fmt::format(">> start stage={}\n", name));
  const int64_t start = MonotonicNanos();
  NARTHEX_RETURN_IF_ERROR(work());
  const int64_t took = MonotonicNanos() - start;
  PrintOut(fmt::format(">> completed stage={} duration={}\n", name, FormatGoDuration(took)));
  return took;
}

}  // namespace

Status BenchmarkWrites(const WriteBenchmarkOptions& options) {
  FileSystem& files = FileSystem::Posix();
  std::string output = options.output;
  if (output.empty()) {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "tsdb_benchXXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return Status(ErrorCode::kUnavailable, "no folder for temporary files");
    }
    output = std::move(name);
  }
  NARTHEX_RETURN_IF_ERROR(files.RemoveAll(output));
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectories(output));
  tsdb::DbOptions db_options;
  db_options.path = JoinPath(output, "storage");
  NARTHEX_TRY(const std::unique_ptr<tsdb::Db> db, tsdb::Db::Open(std::move(db_options)));
  db->DisableCompactions();

  std::vector<Labels> series;
  NARTHEX_RETURN_IF_ERROR(Stage("readData", [&]() -> Status {
                            NARTHEX_TRY(series, ReadSeriesFile(options.file, options.metrics));
                            return {};
                          }).status());
  std::atomic<uint64_t> total{0};
  NARTHEX_TRY(const int64_t took, Stage("ingestScrapes", [&]() -> Status {
                ThreadPool pool("bench", std::max(1U, std::thread::hardware_concurrency()));
                const size_t batches = (series.size() + kSeriesPerBatch - 1) / kSeriesPerBatch;
                for (int64_t round = 0; round < options.scrapes; round += kScrapesPerRound) {
                  pool.ParallelFor(batches, [&](size_t batch) {
                    const std::span<const Labels> all(series);
                    const size_t first = batch * kSeriesPerBatch;
                    const Status done = Ingest(
                        *db, all.subspan(first, std::min(kSeriesPerBatch, all.size() - first)),
                        round * kIntervalMs, total);
                    if (!done.ok()) PrintOut(" err " + done.message() + "\n");
                  });
                }
                PrintOut("ingestion completed\n");
                return {};
              }));
  PrintOut(fmt::format(" > total samples: {}\n", total.load()));
  PrintOut(fmt::format(" > samples/sec: {}\n",
                       FormatFloatG(static_cast<double>(total.load()) * 1e9 /
                                    static_cast<double>(std::max<int64_t>(took, 1)))));
  Status closed = Stage("stopStorage", [&] { return db->Close(); }).status();
  if (options.output.empty()) static_cast<void>(files.RemoveAll(output));
  return closed;
}

}  // namespace narthex::apps
