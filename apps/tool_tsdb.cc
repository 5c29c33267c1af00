// `tsdb`: lists and dumps what a data directory holds.
#include "apps/tool_tsdb.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "apps/tool_database.h"
#include "config/values.h"
#include "model/histogram.h"
#include "storage/merge.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr char kPathHelp[] = "Database path (default is data/).";
constexpr char kEverySeries[] = "{__name__=~'(?s:.*)'}";

enum class DumpFormat { kPrometheus, kSeriesJson, kOpenMetrics };

struct DumpOptions {
  std::string path = "data/";
  std::string sandbox_root;
  int64_t min_ms = std::numeric_limits<int64_t>::min();
  int64_t max_ms = std::numeric_limits<int64_t>::max();
  std::vector<std::string> match = {kEverySeries};
  std::string format = "prom";
};

// "2026-01-01 00:00:00 +0000 UTC", as Go prints a time.
std::string FormatGoTime(int64_t ms) {
  std::string text = FormatRfc3339Nano(ms / 1000 * kNanosPerSecond);
  text[10] = ' ';
  text.pop_back();
  return text + " +0000 UTC";
}

int ListBlocks(const std::string& path, bool human_readable) {
  const Result<Blocks> blocks = OpenBlocks(path);
  if (!blocks.ok()) return ReportError(blocks.status());
  PrintOut(BlocksTable(*blocks, /*header=*/true, human_readable));
  return 0;
}

// {a="b",c="d"}, without the name.
std::string CondensedLabels(const Labels& labels) {
  std::string out = "{";
  for (const LabelView& label : labels) {
    if (label.name == kMetricNameLabel) continue;
    if (out.size() > 1) out += ',';
    out.append(label.name).append("=").append(GoQuote(label.value));
  }
  return out + "}";
}

std::string LabelsJson(const Labels& labels) {
  std::string out = "{";
  for (const LabelView& label : labels) {
    if (out.size() > 1) out += ',';
    AppendJsonString(label.name, JsonEscape::kGo, &out);
    out += ':';
    AppendJsonString(label.value, JsonEscape::kGo, &out);
  }
  return out + "}";
}

Status PrintSamples(const storage::Series& series, DumpFormat format) {
  storage::SampleColumns columns;
  NARTHEX_RETURN_IF_ERROR(series.Read(&columns));
  const bool open_metrics = format == DumpFormat::kOpenMetrics;
  const std::string labels =
      open_metrics ? std::string(series.labels().metric_name()) + CondensedLabels(series.labels())
                   : series.labels().ToString();
  std::string lines;
  for (size_t i = 0; i < columns.size(); ++i) {
    const FloatHistogram* histogram = columns.histogram(i);
    const int64_t time_ms = columns.timestamps_ms[i];
    // A series is cut at its first histogram there: the format has none.
    if (open_metrics && histogram != nullptr) break;
    lines += labels;
    lines += ' ';
    lines += histogram != nullptr ? histogram->ToString() : FormatFloatG(columns.values[i]);
    lines += ' ';
    lines += open_metrics ? FormatFloatFPrecision(static_cast<double>(time_ms) / 1000, 3)
                          : std::to_string(time_ms);
    lines += '\n';
  }
  PrintOut(lines);
  return {};
}

Result<std::unique_ptr<storage::SeriesSet>> SelectSeries(
    storage::Querier& querier, const DumpOptions& options,
    const std::vector<std::vector<Matcher>>& matcher_sets) {
  storage::SelectHints hints;
  hints.start_ms = options.min_ms;
  hints.end_ms = options.max_ms;
  if (matcher_sets.size() == 1) {
    return querier.Select(storage::SeriesOrder::kAny, hints, matcher_sets.front());
  }
  std::vector<std::unique_ptr<storage::SeriesSet>> sets;
  for (const std::vector<Matcher>& matchers : matcher_sets) {
    NARTHEX_TRY(auto set, querier.Select(storage::SeriesOrder::kSorted, hints, matchers));
    sets.push_back(std::move(set));
  }
  return storage::MergeSeriesSets(std::move(sets));
}

Status Dump(const DumpOptions& options, DumpFormat format, const ToolContext& context) {
  NARTHEX_TRY(const auto database, OpenDatabase(options.path, options.sandbox_root));
  NARTHEX_TRY(const auto querier, database->OpenQuerier({options.min_ms, options.max_ms}));
  std::vector<std::vector<Matcher>> matcher_sets;
  for (const std::string& selector : options.match) {
    NARTHEX_TRY(auto matchers, promql::ParseMetricSelector(selector, context.parser));
    matcher_sets.push_back(std::move(matchers));
  }
  NARTHEX_TRY(const auto set, SelectSeries(*querier, options, matcher_sets));
  std::set<std::string> printed;
  while (const std::unique_ptr<storage::Series> series = set->Next()) {
    if (format != DumpFormat::kSeriesJson) {
      NARTHEX_RETURN_IF_ERROR(PrintSamples(*series, format));
    } else if (const std::string json = LabelsJson(series->labels()); printed.insert(json).second) {
      PrintOut(json + "\n");
    }
  }
  NARTHEX_RETURN_IF_ERROR(set->status());
  if (format == DumpFormat::kOpenMetrics) PrintOut("# EOF\n");
  return {};
}

void DeclareTimeFlag(Command& command, std::string name, int64_t* target, std::string help) {
  command.flags().Custom(
      std::move(name), std::to_string(*target), std::move(help),
      [target](std::string_view text) -> Status {
        const std::optional<int64_t> value = ParseInt(text);
        if (!value) {
          return MakeError(ErrorCode::kInvalidInput, "strconv.ParseInt: parsing {}: invalid syntax",
                           GoQuote(text));
        }
        *target = *value;
        return {};
      },
      [target] { return std::to_string(*target); });
}

void DeclareDumpFlags(Command& command, DumpOptions& options) {
  command.flags()
      .String("sandbox-dir-root", &options.sandbox_root,
              "Root directory where a sandbox directory will be created, this sandbox is used in "
              "case WAL replay generates chunks (default is the database path). The sandbox is "
              "cleaned up at the end.")
      .Placeholder("SANDBOX-DIR-ROOT");
  DeclareTimeFlag(command, "min-time", &options.min_ms,
                  "Minimum timestamp to dump, in milliseconds since the Unix epoch.");
  DeclareTimeFlag(command, "max-time", &options.max_ms,
                  "Maximum timestamp to dump, in milliseconds since the Unix epoch.");
  command.flags().Strings("match", &options.match,
                          "Series selector. Can be specified multiple times.");
  command.TextArgument("db path", &options.path, Presence::kOptional, kPathHelp);
}

void AddDumpCommands(Command& tsdb, ToolContext& context) {
  const auto options = std::make_shared<DumpOptions>();
  Command& dump =
      tsdb.AddCommand("dump", "Dump data (series+samples or optionally just series) from a TSDB.");
  DeclareDumpFlags(dump, *options);
  dump.flags().Enum("format", &options->format, {"prom", "seriesjson"},
                    "Output format of the dump (prom (default) or seriesjson).");
  dump.OnRun([&context, options] {
    return ReportError(Dump(
        *options, options->format == "prom" ? DumpFormat::kPrometheus : DumpFormat::kSeriesJson,
        context));
  });

  const auto open_metrics_options = std::make_shared<DumpOptions>();
  Command& open_metrics = tsdb.AddCommand(
      "dump-openmetrics",
      "[Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native "
      "histograms and staleness markers, which are not representable in OpenMetrics.");
  DeclareDumpFlags(open_metrics, *open_metrics_options);
  open_metrics.OnRun([&context, open_metrics_options] {
    return ReportError(Dump(*open_metrics_options, DumpFormat::kOpenMetrics, context));
  });
}

}  // namespace

std::string BlocksTable(const Blocks& blocks, bool header, bool human_readable) {
  std::vector<std::vector<std::string>> rows;
  if (header) {
    rows.push_back({"BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS",
                    "NUM SERIES", "SIZE"});
  }
  const auto time = [&](int64_t ms) {
    return human_readable ? FormatGoTime(ms) : std::to_string(ms);
  };
  for (const auto& block : blocks) {
    const tsdb::BlockMeta meta = block->meta();
    const auto bytes = static_cast<int64_t>(block->size_bytes());
    rows.push_back({meta.ulid.ToString(), time(meta.min_ms), time(meta.max_ms),
                    FormatGoDuration((meta.max_ms - meta.min_ms) * kNanosPerMilli),
                    std::to_string(meta.stats.samples), std::to_string(meta.stats.chunks),
                    std::to_string(meta.stats.series),
                    human_readable ? ByteSize{bytes}.ToString() : std::to_string(bytes)});
  }
  return AlignColumns(rows, 13, 2, /*pad_last=*/false);
}

void AddTsdbCommands(Command& root, ToolContext& context) {
  Command& tsdb = root.AddCommand("tsdb", "Run tsdb commands.");

  const auto bench_options = std::make_shared<WriteBenchmarkOptions>();
  Command& bench = tsdb.AddCommand("bench", "Run benchmarks.");
  Command& write = bench.AddCommand("write", "Run a write performance benchmark.");
  write.flags().String("out", &bench_options->output, "Set the output path.");
  write.flags().Int("metrics", &bench_options->metrics, "Number of metrics to read.");
  write.flags().Int("scrapes", &bench_options->scrapes, "Number of scrapes to simulate.");
  write.TextArgument("file", &bench_options->file, Presence::kOptional,
                     "Input file with samples data, default is "
                     "(../../tsdb/testdata/20kseries.json).");
  write.OnRun([bench_options] { return ReportError(BenchmarkWrites(*bench_options)); });

  const auto analyze_options = std::make_shared<AnalyzeOptions>();
  Command& analyze = tsdb.AddCommand(
      "analyze", "Analyze churn, label pair cardinality and compaction efficiency.");
  analyze.TextArgument("db path", &analyze_options->path, Presence::kOptional, kPathHelp);
  analyze.TextArgument("block id", &analyze_options->block, Presence::kOptional,
                       "Block to analyze (default is the last block).");
  analyze.flags().Int("limit", &analyze_options->limit, "How many items to show in each list.");
  analyze.flags().Bool("extended", &analyze_options->extended, "Run extended analysis.");
  analyze.flags()
      .String("match", &analyze_options->match,
              "Series selector to analyze. Only 1 set of matchers is supported now.")
      .Placeholder("MATCH");
  analyze.OnRun([&context, analyze_options] { return AnalyzeBlock(*analyze_options, context); });

  struct ListOptions {
    std::string path = "data/";
    bool human_readable = false;
  };
  const auto list_options = std::make_shared<ListOptions>();
  Command& list = tsdb.AddCommand("list", "List tsdb blocks.");
  list.flags()
      .Bool("human-readable", &list_options->human_readable, "Print human readable values.")
      .Short('r');
  list.TextArgument("db path", &list_options->path, Presence::kOptional, kPathHelp);
  list.OnRun(
      [list_options] { return ListBlocks(list_options->path, list_options->human_readable); });

  AddDumpCommands(tsdb, context);
  AddBackfillCommands(tsdb, context);
  AddVerifyCommands(tsdb);
}

}  // namespace narthex::apps
