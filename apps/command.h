// The subcommands of the one executable. Each is a function from its arguments to an exit code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narthex::apps {

using Arguments = std::vector<std::string>;

int RunServer(const Arguments& arguments);
int RunUp(const Arguments& arguments);
int RunExporter(const Arguments& arguments);
int RunTool(const Arguments& arguments);
int RunPushgateway(const Arguments& arguments);
int RunQuery(const Arguments& arguments);
int RunCompletion(const Arguments& arguments);
int RunManual(const Arguments& arguments);

// "narthex, version 0.1.0 (…)": what --version prints for a program of that name.
std::string VersionText(std::string_view program);
std::string_view Version();
// The Prometheus release whose behaviour this one follows.
inline constexpr std::string_view kReferenceVersion = "3.16.0";
std::string_view Revision();
std::string_view BuildDate();
std::string CompilerText();

}  // namespace narthex::apps
