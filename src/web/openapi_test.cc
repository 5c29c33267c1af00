#include "web/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "util/strings.h"
#include "util/thread_pool.h"
#include "web/api.h"

namespace narthex::web {
namespace {

// "GET /label/:name/values" and "GET /label/{name}/values" alike.
std::string Normalized(std::string_view method, std::string_view path) {
  std::vector<std::string> parts;
  for (const std::string_view part : Split(path, '/')) {
    parts.emplace_back(part.starts_with(':') ? "{" + std::string(part.substr(1)) + "}"
                                             : std::string(part));
  }
  return std::string(method) + " " + Join(parts, "/");
}

TEST(OpenApi, DescribesExactlyTheRoutesOfTheApi) {
  Notifications notifications(1);
  ThreadPool pool("test", 1);
  Api api({}, {}, notifications, pool, pool);
  Router router;
  api.Register("", router);
  std::set<std::string> routes;
  for (const auto& [method, pattern] : router.Routes()) {
    if (method == "OPTIONS" || pattern.ends_with("/openapi.yaml")) continue;
    routes.insert(Normalized(method, pattern.substr(std::string_view("/api/v1").size())));
  }
  std::set<std::string> described;
  for (const OpenApiOperation& operation : OpenApiOperations()) {
    for (const std::string_view method : Split(operation.methods, ' ')) {
      described.insert(Normalized(method, operation.path));
    }
  }
  EXPECT_EQ(described, routes);
}

TEST(OpenApi, RefersOnlyToSchemasThatExist) {
  const std::string yaml = OpenApiYaml("3.2", "http://x/api/v1", "1.2.3");
  constexpr std::string_view kReference = "#/components/schemas/";
  size_t references = 0;
  for (size_t at = yaml.find(kReference); at != std::string::npos;
       at = yaml.find(kReference, at + 1)) {
    const size_t start = at + kReference.size();
    const std::string name = yaml.substr(start, yaml.find('"', start) - start);
    EXPECT_THAT(yaml, testing::HasSubstr("\n    " + name + ": {"));
    ++references;
  }
  EXPECT_GT(references, 100U);
  EXPECT_THAT(yaml, testing::StartsWith("openapi: 3.2.0\n"));
  EXPECT_THAT(yaml, testing::HasSubstr("text/event-stream"));
  EXPECT_THAT(OpenApiYaml("3.1", "", ""), testing::Not(testing::HasSubstr("event-stream")));
}

}  // namespace
}  // namespace narthex::web
