// `tsdb create-blocks-from`: blocks of samples that were recorded elsewhere.
//
// The input is read once for each span of block_duration, so memory holds the samples of one block
// whatever the size of the input.
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "apps/tool_api_client.h"
#include "apps/tool_tsdb.h"
#include "config/rule_file.h"
#include "exposition/parser.h"
#include "promql/parser/parser.h"
#include "rules/group.h"
#include "tsdb/compact/block_writer.h"
#include "tsdb/db/head_source.h"
#include "tsdb/head/head.h"
#include "util/file.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr int64_t kBlockDurationMs = 2LL * 3600 * 1000;
constexpr int64_t kRulesEndBeforeNowMs = 3LL * 3600 * 1000;
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

// A head in memory alone, for the samples of one block.
tsdb::HeadOptions ScratchHead(const std::string& output, int64_t duration_ms) {
  tsdb::HeadOptions options;
  options.directory = output;
  options.file_system = &FileSystem::Posix();
  // A head refuses what is older than half its range: twice the range takes the whole span.
  options.chunk_range_ms = 2 * duration_ms;
  return options;
}

// The block of all that `head` holds, or null when it would be empty.
Result<std::shared_ptr<tsdb::Block>> FlushHead(const tsdb::Head& head, const std::string& output) {
  FileSystem& files = FileSystem::Posix();
  if (!head.initialized()) return std::shared_ptr<tsdb::Block>();
  tsdb::BlockMeta meta = tsdb::NewHeadBlockMeta(head.min_time_ms(), head.max_time_ms() + 1,
                                                Clock::System().NowMillis());
  const std::unique_ptr<tsdb::BlockSource> source = tsdb::NewHeadSource(&head);
  tsdb::BlockSource* const sources[] = {source.get()};
  NARTHEX_RETURN_IF_ERROR(
      tsdb::WriteBlock(files, output, sources, {}, &meta).WithPrefix("flush: "));
  if (meta.stats.samples == 0) return std::shared_ptr<tsdb::Block>();
  return tsdb::Block::Open(files, JoinPath(output, meta.ulid.ToString()));
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
    const auto make_block = [&]() -> Result<std::shared_ptr<tsdb::Block>> {
      tsdb::Head head(ScratchHead(options.output, duration_ms));
      NARTHEX_RETURN_IF_ERROR(
          FillHead(input, from_ms, from_ms + duration_ms, options, &head, &next_ms));
      return FlushHead(head, options.output);
    };
    Result<std::shared_ptr<tsdb::Block>> block = make_block();
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

struct RuleBackfillOptions {
  Url url;
  std::string start;
  std::string end;
  std::string output = "data/";
  int64_t interval_nanos = 60 * kNanosPerSecond;
  std::vector<std::string> files;
};

// What a recording rule would have recorded in [start_s, end_s], as blocks.
Status BackfillRule(ApiClient& client, const RuleBackfillOptions& options,
                    const rules::GroupOptions& group, const RuleConfig& rule,
                    const std::vector<std::pair<std::string, std::string>>& labels, int64_t start_s,
                    int64_t end_s, int64_t block_ms) {
  const int64_t block_s = block_ms / 1000;
  for (int64_t block = start_s / block_s * block_s; block <= end_s; block += block_s) {
    const int64_t from_s = std::max(block, start_s);
    const int64_t to_s = std::min(block + block_s - 1, end_s);
    int64_t first_nanos = rules::SlotAt(group, from_s * kNanosPerSecond);
    while (first_nanos / kNanosPerSecond < from_s) first_nanos += group.interval_nanos;
    if (to_s * kNanosPerSecond < first_nanos) break;
    Result<ApiAnswer> answer = client.Post(
        "/api/v1/query_range", {{"query", rule.expr},
                                {"start", FormatApiTime(first_nanos / kNanosPerMilli)},
                                {"end", FormatApiTime(to_s * 1000)},
                                {"step", FormatFloatF(static_cast<double>(group.interval_nanos) /
                                                      static_cast<double>(kNanosPerSecond))}});
    if (!answer.ok()) return answer.status().WithPrefix("query range: ");
    for (const std::string& warning : answer->warnings) {
      PrintError("Range query returned warnings. " + warning + "\n");
    }
    std::string type;
    NARTHEX_TRY(const std::optional<std::vector<ApiSeries>> matrix,
                ReadMatrix(answer->data, &type));
    if (!matrix) return MakeError(ErrorCode::kInvalidInput, "rule result is wrong type {}", type);
    tsdb::Head head(ScratchHead(options.output, block_ms));
    std::unique_ptr<storage::Appender> appender = head.NewAppender();
    for (const ApiSeries& series : *matrix) {
      LabelsBuilder builder;
      for (const auto& [name, value] : series.labels) builder.Set(name, value);
      for (const auto& [name, value] : labels) builder.Set(name, value);
      builder.Set(kMetricNameLabel, rule.record);
      const Labels built = builder.Build();
      for (const auto& [time_ms, value] : series.values) {
        const Status added = appender->Append(0, built, time_ms, value, {}).status();
        if (!added.ok()) return added.WithPrefix("add: multiappender append: ");
      }
    }
    NARTHEX_RETURN_IF_ERROR(
        appender->Commit().WithPrefix("flush and commit: multiappender commit: "));
    NARTHEX_RETURN_IF_ERROR(
        FlushHead(head, options.output).status().WithPrefix("flush and commit: "));
  }
  return {};
}

Status BackfillRules(const RuleBackfillOptions& options, int64_t block_ms,
                     const ToolContext& context) {
  int64_t end_ms = Clock::System().NowMillis() - kRulesEndBeforeNowMs;
  if (!options.end.empty()) {
    const Result<int64_t> end = ParseToolTime(options.end);
    if (!end.ok()) return end.status().WithPrefix("error parsing end time: ");
    end_ms = *end;
  }
  const Result<int64_t> start = ParseToolTime(options.start);
  if (!start.ok()) return start.status().WithPrefix("error parsing start time: ");
  if (*start >= end_ms) {
    return Status(ErrorCode::kInvalidInput, "start time is not before end time");
  }
  RuleFileOptions parse;
  parse.check_expression = [&](std::string_view text) {
    return promql::ParseExpr(text, context.parser).status();
  };
  std::vector<std::pair<std::string, RuleGroups>> files;
  for (const std::string& file : options.files) {
    RuleFileResult loaded = LoadRuleFile(file, parse);
    if (!loaded.errors.empty()) {
      return loaded.errors.front().WithPrefix("rule importer parse error: ");
    }
    files.emplace_back(file, std::move(loaded.groups));
  }
  NARTHEX_RETURN_IF_ERROR(FileSystem::Posix().CreateDirectories(options.output));
  ApiClient client(options.url, context.http, {});
  bool failed = false;
  for (const auto& [file, groups] : files) {
    for (const RuleGroupConfig& config : groups.groups) {
      rules::GroupOptions group;
      group.name = config.name;
      group.file = file;
      group.interval_nanos =
          config.interval.nanos > 0 ? config.interval.nanos : options.interval_nanos;
      for (const RuleConfig& rule : config.rules) {
        // As the help says. (Upstream records them, under the name of the alert.)
        if (rule.is_alert()) continue;
        std::map<std::string, std::string> labels(config.labels.begin(), config.labels.end());
        for (const auto& [name, value] : rule.labels) labels[name] = value;
        const Status imported =
            BackfillRule(client, options, group, rule, {labels.begin(), labels.end()},
                         *start / 1000, end_ms / 1000, block_ms);
        if (imported.ok()) continue;
        PrintError("rule importer error: " + imported.message() + "\n");
        failed = true;
      }
    }
  }
  return failed ? Status(ErrorCode::kExecution, "error importing rules") : Status();
}

void AddRulesBackfill(Command& import, ToolContext& context,
                      std::shared_ptr<BackfillOptions> common) {
  const auto options = std::make_shared<RuleBackfillOptions>();
  options->url = *Url::Parse("http://localhost:9090");
  Command& rules = import.AddCommand("rules", "Create blocks of data for new recording rules.");
  DeclareHttpConfigFlag(rules, context);
  rules.flags().Custom(
      "url", "http://localhost:9090",
      "The URL for the Prometheus API with the data where the rule will be backfilled from.",
      [options](std::string_view text) -> Status {
        Result<Url> url = Url::Parse(text);
        if (!url.ok()) return url.status().WithPrefix("invalid URL: ");
        options->url = *std::move(url);
        return {};
      },
      [options] { return options->url.ToString(); });
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
  rules.OnRun([options, common = std::move(common), &context] {
    return ReportError(BackfillRules(*options, common->BlockDurationMs(), context));
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
  AddRulesBackfill(import, context, options);
}

}  // namespace narthex::apps
