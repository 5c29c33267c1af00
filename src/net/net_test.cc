#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/event_loop.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/reactor.h"
#include "net/url.h"
#include "util/thread_pool.h"

namespace narthex::net {
namespace {

using ::testing::HasSubstr;

TEST(Url, DecodesAndEncodes) {
  EXPECT_EQ(*UrlDecode("a%20b+c", true), "a b c");
  EXPECT_EQ(*UrlDecode("a+b", false), "a+b");
  EXPECT_EQ(UrlDecode("%zz", true).status().message(), "invalid URL escape \"%zz\"");
  EXPECT_EQ(QueryEscape("a b&c/é"), "a+b%26c%2F%C3%A9");
  FormValues form;
  EXPECT_TRUE(form.Parse("b=2&a=1&b=3&empty").ok());
  EXPECT_EQ(form.GetAll("b"), (std::vector<std::string>{"2", "3"}));
  EXPECT_TRUE(form.Has("empty"));
  EXPECT_EQ(form.Encode(), "a=1&b=2&b=3&empty=");
}

TEST(Url, Parses) {
  const Result<Url> url = ParseUrl("https://me:pw@[::1]:9090/path?x=1#frag");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "9090");
  EXPECT_EQ(url->path, "/path");
  EXPECT_EQ(url->query, "x=1");
  EXPECT_EQ(url->user_info, "me:pw");
  EXPECT_FALSE(ParseUrl("localhost:9090").ok());
  EXPECT_FALSE(ParseUrl("http://host:9a/").ok());
}

// Both loops keep timers.
template <typename Loop>
class Timers : public ::testing::Test {};
using Loops = ::testing::Types<EventLoop, Reactor>;
TYPED_TEST_SUITE(Timers, Loops);

TYPED_TEST(Timers, RunInOrderAndCancel) {
  TypeParam loop;
  std::mutex mutex;
  std::condition_variable changed;
  std::string order;
  const auto add = [&](char c) {
    return [&, c] {
      const std::lock_guard lock(mutex);
      order.push_back(c);
      changed.notify_one();
    };
  };
  // Far apart, so that a busy machine does not turn them round between two calls.
  loop.RunAfter(300'000'000, add('c'));
  loop.RunAfter(1'000'000, add('a'));
  const auto dropped = loop.RunAfter(100'000'000, add('x'));
  loop.RunAfter(150'000'000, add('b'));
  EXPECT_TRUE(loop.Cancel(dropped));
  EXPECT_FALSE(loop.Cancel(dropped));
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return order.size() == 3; });
  EXPECT_EQ(order, "abc");
}

// A server whose answers depend on the path.
class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    options.body_bytes_max = 1 << 20;
    options.stream_buffer_bytes = 64 << 10;
    Result<std::unique_ptr<HttpServer>> server = HttpServer::Start(
        loop_, std::move(options),
        [this](std::shared_ptr<HttpExchange> exchange) { Handle(std::move(exchange)); });
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    base_ = "http://" + server_->addresses()[0];
  }

  void Handle(std::shared_ptr<HttpExchange> exchange) {
    const HttpRequest& request = exchange->request();
    if (request.path == "/echo") {
      HttpResponse response;
      response.headers.Add("Content-Type", "text/plain");
      response.body = request.method + " " + request.query + " " + request.body + " " +
                      std::string(request.headers.Get("x-test"));
      exchange->Respond(std::move(response));
    } else if (request.path == "/drop") {
      exchange.reset();
    } else if (request.path == "/redirect") {
      HttpResponse response;
      response.status = 302;
      response.headers.Add("Location", "/echo?redirected");
      exchange->Respond(std::move(response));
    } else if (request.path == "/stream") {
      pool_.Submit([exchange] {
        exchange->StartStream({});
        for (int i = 0; i < 100; ++i) {
          if (!exchange->Write(std::string(10'000, static_cast<char>('a' + i % 26))).ok()) return;
        }
        exchange->Finish();
      });
    } else if (request.path == "/wait") {
      pool_.Submit([this, exchange] {
        while (!exchange->stop_token().stop_requested()) std::this_thread::yield();
        canceled_.store(true);
        exchange->Respond({});
      });
    } else {
      HttpResponse response;
      response.status = 404;
      exchange->Respond(std::move(response));
    }
  }

  HttpClientResponse Get(const std::string& path, int64_t timeout_nanos = 10'000'000'000,
                         size_t body_bytes_max = 0) {
    HttpClientRequest request;
    request.url = base_ + path;
    request.timeout_nanos = timeout_nanos;
    request.body_bytes_max = body_bytes_max;
    return client_.FetchSync(std::move(request));
  }

  ThreadPool pool_{"test", 2};
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::string base_;
  HttpClient client_;
  std::atomic<bool> canceled_{false};
};

TEST_F(HttpTest, AnswersOverOneConnection) {
  for (int i = 0; i < 3; ++i) {
    HttpClientRequest request;
    request.method = "POST";
    request.url = base_ + "/echo?a=1";
    request.body = "body";
    request.headers = {{"X-Test", "yes"}};
    const HttpClientResponse response = client_.FetchSync(std::move(request));
    ASSERT_TRUE(response.error.ok()) << response.error.message();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.status_text, "200 OK");
    EXPECT_EQ(response.body, "POST a=1 body yes");
    EXPECT_EQ(response.headers.Get("content-type"), "text/plain");
  }
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(HttpTest, AnswersForHandlersThatForget) {
  EXPECT_EQ(Get("/drop").status, 500);
}

TEST_F(HttpTest, StreamsWithBackPressure) {
  const HttpClientResponse response = Get("/stream");
  ASSERT_TRUE(response.error.ok()) << response.error.message();
  EXPECT_EQ(response.body.size(), 1'000'000u);
  EXPECT_EQ(response.body[999'999], 'a' + 99 % 26);
}

TEST_F(HttpTest, FollowsRedirectsOnlyWhenAsked) {
  EXPECT_EQ(Get("/redirect").body, "GET redirected  ");
  HttpClientRequest request;
  request.url = base_ + "/redirect";
  HttpClientOptions options;
  options.follow_redirects = false;
  request.options = std::make_shared<HttpClientOptions>(options);
  EXPECT_EQ(client_.FetchSync(std::move(request)).status_text, "302 Found");
}

TEST_F(HttpTest, BoundsBodies) {
  EXPECT_EQ(Get("/stream", 10'000'000'000, 1000).error.message(), "body size limit exceeded");
  HttpClientRequest request;
  request.method = "POST";
  request.url = base_ + "/echo";
  request.body.assign(2 << 20, 'x');
  EXPECT_EQ(client_.FetchSync(std::move(request)).status, 413);
}

TEST_F(HttpTest, TimesOutAndTellsTheHandler) {
  const HttpClientResponse response = Get("/wait", 50'000'000);
  EXPECT_EQ(response.error.message(), "Get \"" + base_ + "/wait\": context deadline exceeded");
  while (!canceled_.load()) std::this_thread::yield();
}

TEST_F(HttpTest, NamesRefusedConnectionsAsGo) {
  const std::string address = server_->addresses()[0];
  server_->Stop(0);
  const HttpClientResponse response = Get("/echo");
  EXPECT_EQ(response.error.message(),
            "Get \"" + base_ + "/echo\": dial tcp " + address + ": connect: connection refused");
}

TEST_F(HttpTest, SaysThatAPortIsTaken) {
  HttpServerOptions options;
  options.listen_addresses = {server_->addresses()[0]};
  const auto second =
      HttpServer::Start(loop_, std::move(options), [](std::shared_ptr<HttpExchange>) {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(),
            "listen tcp " + server_->addresses()[0] + ": bind: address already in use");
}

TEST_F(HttpTest, StopsWithRequestsInFlight) {
  client_.Fetch({.url = base_ + "/wait"}, [](const HttpClientResponse&) {});
  while (server_->connection_count() == 0) std::this_thread::yield();
  server_->Stop(2'000'000'000);
  EXPECT_EQ(server_->connection_count(), 0u);
}

}  // namespace
}  // namespace narthex::net
