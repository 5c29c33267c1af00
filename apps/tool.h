// `narthex tool`: what promtool does, with its words, outputs and exit codes (parity/cli.md
// sections 5 to 7). tool_command.h reads the line; each tool_*.cc declares a group of commands and
// runs them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/tool_command.h"
#include "net/http_client.h"
#include "promql/parser/parser.h"
#include "util/status.h"

namespace narthex::apps {

// One or more lint problems were found, and nothing else.
inline constexpr int kLintExitCode = 3;

// What the flags that many commands share say. Lives as long as the commands.
struct ToolContext {
  bool experimental = false;
  std::vector<std::string> feature_lists;
  std::string http_config_file;

  // Made of them before a command runs.
  promql::ParserOptions parser;
  bool delayed_name_removal = false;
  std::shared_ptr<const net::HttpClientOptions> http;
};

inline constexpr std::string_view kToolHelp = "Tooling for the Prometheus monitoring system.";
// All of it, below a command of that help.
void DeclareTool(Command& root, ToolContext& context);
void AddCheckCommands(Command& root, ToolContext& context);
void AddQueryCommands(Command& root, ToolContext& context);
void AddDebugCommands(Command& root, ToolContext& context);
void AddPushCommands(Command& root, ToolContext& context);
void AddTestCommands(Command& root, ToolContext& context);
void AddTsdbCommands(Command& root, ToolContext& context);
void AddPromqlCommands(Command& root, ToolContext& context);
void AddExplainCommands(Command& promql, ToolContext& context);
inline constexpr std::string_view kQueryHelp = "Run query against a Prometheus server.";
// The subcommands of `query` alone.
void DeclareQueryCommands(Command& query, ToolContext& context);
// Completes the context once the flags are read; the exit code of an error.
int PrepareTool(ToolContext& context);

// --http.config.file, which several commands declare.
void DeclareHttpConfigFlag(Command& command, ToolContext& context);

// Prints an error on a line of its own; the exit code.
int ReportError(const Status& status);
void PrintOut(std::string_view text);
void PrintError(std::string_view text);

// RFC 3339 or seconds since 1970; milliseconds. `cannot parse "x" to a valid timestamp`.
Result<int64_t> ParseToolTime(std::string_view text);

// Columns as Go's text/tabwriter aligns them: cells end with a tab, each column is as wide as its
// widest cell and `padding`, at least `width_min`.
std::string AlignColumns(const std::vector<std::vector<std::string>>& rows, size_t width_min,
                         size_t padding, bool pad_last);

}  // namespace narthex::apps
