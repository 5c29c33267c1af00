// `tsdb create-blocks-from`: blocks of samples that were recorded elsewhere.
//
// The input is read once for each span of block_duration, so memory holds the samples of one block
// whatever the size of the input.
#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "apps/tool_tsdb.h"
#include "exposition/parser.h"
#include "tsdb/compact/block_writer.h"
#include "tsdb/db/head_source.h"
#include "tsdb/head/head.h"
#include "util/file.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr int64_t kBlockDurationMs = 2LL * 3600 * 1000;
constexpr size_t kSamplesPerCommit = 5000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct BackfillOptions {
  bool human_readable = false;
  bool quiet = false;
  int64_t max_block_duration_nanos = 0;
  bool allow_incompatible = false;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string input;
  std::string output = "data/";

  int64_t BlockDurationMs() const;
};

// The longest of the spans into which compaction merges that does not exceed what was asked for.
int64_t BackfillOptions::BlockDurationMs() const {
  const int64_t wanted = max_block_duration_nanos / kNanosPerMilli;
  if (allow_incompatible && wanted > 0) return wanted;
  int64_t duration = kBlockDurationMs;
  for (int i = 0; i < 9 && duration * 3 <= wanted; ++i) duration *= 3;
  return duration;
}

struct Span {
  int64_t min_ms = kNever;
  int64_t max_ms = std::numeric_limits<int64_t>::min();
};

Result<Span> FindSpan(std::string_view input) {
  Span span;
  const std::unique_ptr<exposition::Parser> parser = exposition::CreateOpenMetricsParser(input, {});
  for (;;) {
    const exposition::Entry entry = parser->Next();
    if (entry == exposition::Entry::kEnd) break;
    if (entry == exposition::Entry::kError) return parser->status().WithPrefix("next: ");
    if (entry != exposition::Entry::kSeries) continue;
    const std::optional<int64_t> time = parser->timestamp_ms();
    if (!time) {
      return Status(ErrorCode::kInvalidInput, "expected timestamp for series got none");
    }
    span.min_ms = std::min(span.min_ms, *time);
    span.max_ms = std::max(span.max_ms, *time);
  }
  return span.min_ms == kNever ? Span{0, 0} : span;
}

// Takes the samples in [from_ms, to_ms) into `head`; *next_ms gets the first time behind them.
Status FillHead(std::string_view input, int64_t from_ms, int64_t to_ms,
                const BackfillOptions& options, tsdb::Head* head, int64_t* next_ms) {
  const std::unique_ptr<exposition::Parser> parser = exposition::CreateOpenMetricsParser(input, {});
  std::unique_ptr<storage::Appender> appender = head->NewAppender();
  size_t samples = 0;
  for (;;) {
    const exposition::Entry entry = parser->Next();
    if (entry == exposition::Entry::kEnd) break;
    if (entry == exposition::Entry::kError) return parser->status().WithPrefix("parse: ");
    if (entry != exposition::Entry::kSeries) continue;
    const int64_t time = parser->timestamp_ms().value_or(0);
    if (time < from_ms) continue;
    if (time >= to_ms) {
      *next_ms = std::min(*next_ms, time);
      continue;
    }
    LabelsBuilder labels(parser->SeriesLabels());
    for (const auto& [name, value] : options.labels) labels.Set(name, value);
    const Status added = appender->Append(0, labels.Build(), time, parser->value(), {}).status();
    if (!added.ok()) return added.WithPrefix("add sample: ");
    if (++samples % kSamplesPerCommit == 0) {
      NARTHEX_RETURN_IF_ERROR(appender->Commit().WithPrefix("commit: "));
      appender = head->NewAppender();
    }
  }
  return appender->Commit().WithPrefix("commit: ");
}

// The block of one span, or null when it would be empty.
Result<std::shared_ptr<tsdb::Block>> MakeBlock(std::string_view input, int64_t from_ms,
                                               int64_t duration_ms, const BackfillOptions& options,
                                               int64_t* next_ms) {
  FileSystem& files = FileSystem::Posix();
  tsdb::HeadOptions head_options;
  head_options.directory = options.output;
  head_options.file_system = &files;
  // A head refuses what is older than half its range: twice the range takes the whole span.
  head_options.chunk_range_ms = 2 * duration_ms;
  tsdb::Head head(std::move(head_options));
  NARTHEX_RETURN_IF_ERROR(FillHead(input, from_ms, from_ms + duration_ms, options, &head, next_ms));
  if (!head.initialized()) return std::shared_ptr<tsdb::Block>();
  tsdb::BlockMeta meta = tsdb::NewHeadBlockMeta(head.min_time_ms(), head.max_time_ms() + 1,
                                                Clock::System().NowMillis());
  const std::unique_ptr<tsdb::BlockSource> source = tsdb::NewHeadSource(&head);
  tsdb::BlockSource* const sources[] = {source.get()};
  NARTHEX_RETURN_IF_ERROR(
      tsdb::WriteBlock(files, options.output, sources, {}, &meta).WithPrefix("flush: "));
  if (meta.stats.samples == 0) return std::shared_ptr<tsdb::Block>();
  return tsdb::Block::Open(files, JoinPath(options.output, meta.ulid.ToString()));
}

Status CreateBlocks(std::string_view input, const BackfillOptions& options) {
  Result<Span> span = FindSpan(input);
  if (!span.ok()) return span.status().WithPrefix("getting min and max timestamp: ");
  const int64_t duration_ms = options.BlockDurationMs();
  int64_t next_ms = kNever;
  bool header = true;
  for (int64_t from_ms = duration_ms * (span->min_ms / duration_ms); from_ms <= span->max_ms;
       from_ms += duration_ms) {
    // Nothing of the input lies in this span.
    if (next_ms != kNever && next_ms >= from_ms + duration_ms) continue;
    next_ms = kNever;
    Result<std::shared_ptr<tsdb::Block>> block =
        MakeBlock(input, from_ms, duration_ms, options, &next_ms);
    if (!block.ok()) return block.status().WithPrefix("block creation: process blocks: ");
    if (*block == nullptr || options.quiet) continue;
    PrintOut(BlocksTable({*block}, header, options.human_readable));
    header = false;
  }
  return {};
}

Status BackfillOpenMetrics(const BackfillOptions& options) {
  FileSystem& files = FileSystem::Posix();
  const Result<FileInfo> info = files.Stat(options.input);
  if (!info.ok()) return info.status();
  // A pipe tells no size and cannot be mapped.
  std::string text;
  std::unique_ptr<MappedFile> map;
  if (info->size > 0) {
    NARTHEX_TRY(map, files.Map(options.input));
  } else {
    NARTHEX_TRY(text, files.ReadAll(options.input));
  }
  NARTHEX_RETURN_IF_ERROR(
      files.CreateDirectories(options.output).WithPrefix("create output dir: "));
  return CreateBlocks(map != nullptr ? map->data() : std::string_view(text), options);
}

void AddRulesBackfill(Command& import, ToolContext& context) {
  struct Options {
    std::string url = "http://localhost:9090";
    std::string start;
    std::string end;
    std::string output = "data/";
    int64_t interval_nanos = 60 * kNanosPerSecond;
    std::vector<std::string> files;
  };
  const auto options = std::make_shared<Options>();
  Command& rules = import.AddCommand("rules", "Create blocks of data for new recording rules.");
  DeclareHttpConfigFlag(rules, context);
  rules.flags()
      .String("url", &options->url,
              "The URL for the Prometheus API with the data where the rule will be backfilled "
              "from.")
      .Placeholder(options->url);
  rules.flags()
      .String("start", &options->start,
              "The time to start backfilling the new rule from. Must be a RFC3339 formatted date "
              "or Unix timestamp. Required.")
      .Placeholder("START")
      .Required();
  rules.flags()
      .String("end", &options->end,
              "If an end time is provided, all recording rules in the rule files provided will be "
              "backfilled to the end time. Default will backfill up to 3 hours ago. Must be a "
              "RFC3339 formatted date or Unix timestamp.")
      .Placeholder("END");
  rules.flags().String("output-dir", &options->output, "Output directory for generated blocks.");
  rules.flags()
      .GoDuration("eval-interval", &options->interval_nanos,
                  "How frequently to evaluate rules when backfilling if a value is not set in the "
                  "recording rule files.")
      .Placeholder("60s");
  rules.FileArguments("rule-files", &options->files, Presence::kRequired,
                      "A list of one or more files containing recording rules to be backfilled. "
                      "All recording rules listed in the files will be backfilled. Alerting rules "
                      "are not evaluated.");
  rules.OnRun([options] {
    return ReportError(
        Status(ErrorCode::kUnsupported, "create-blocks-from rules: not supported yet"));
  });
}

}  // namespace

void AddBackfillCommands(Command& tsdb, ToolContext& context) {
  const auto options = std::make_shared<BackfillOptions>();
  Command& import = tsdb.AddCommand(
      "create-blocks-from",
      "[Experimental] Import samples from input and produce TSDB blocks. Please refer to the "
      "storage docs for more details.");
  import.flags()
      .Bool("human-readable", &options->human_readable, "Print human readable values.")
      .Short('r');
  import.flags().Bool("quiet", &options->quiet, "Do not print created blocks.").Short('q');
  import.flags()
      .GoDuration("max-block-duration", &options->max_block_duration_nanos,
                  "Maximum duration created blocks may span. Anything less than 2h is ignored.")
      .Placeholder("<duration>")
      .Hidden();
  import.flags()
      .Bool("allow-incompatible-block-duration", &options->allow_incompatible,
            "Use --max-block-duration as is, instead of rounding it down to a Prometheus "
            "compaction range.")
      .Hidden();

  Command& openmetrics = import.AddCommand(
      "openmetrics",
      "Import samples from OpenMetrics input and produce TSDB blocks. Please refer to the storage "
      "docs for more details.");
  openmetrics.MapFlag("label", &options->labels, "LABEL ...",
                      "Label to attach to metrics. Can be specified multiple times. Example "
                      "--label=label_name=label_value");
  openmetrics.TextArgument("input file", &options->input, Presence::kRequired,
                           "OpenMetrics file to read samples from.");
  openmetrics.TextArgument("output directory", &options->output, Presence::kOptional,
                           "Output directory for generated blocks.");
  openmetrics.OnRun([options] { return ReportError(BackfillOpenMetrics(*options)); });
  AddRulesBackfill(import, context);
}

}  // namespace narthex::apps
