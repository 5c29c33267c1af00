#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <iterator>
#include <limits>

#include "web/json_writer.h"
#include "web/notifications.h"
#include "web/params.h"
#include "web/query_json.h"
#include "web/response_writer.h"
#include "web/router.h"

namespace narthex::web {
namespace {

using testing::ElementsAre;

// Keeps what is answered; a client that left refuses every write.
class FakeExchange : public net::HttpExchange {
 public:
  FakeExchange(std::string method, std::string path, std::string query = "") {
    request_.method = std::move(method);
    request_.path = std::move(path);
    request_.query = std::move(query);
  }
  const net::HttpRequest& request() const override { return request_; }
  std::stop_token stop_token() const override { return {}; }
  void Respond(net::HttpResponse response) override {
    ++answers;
    answer = std::move(response);
  }
  void StartStream(net::HttpResponse response) override {
    ++answers;
    streamed = true;
    answer = std::move(response);
  }
  Status Write(std::string part) override {
    if (client_gone) return Status(ErrorCode::kCanceled, "client gone");
    answer.body += part;
    ++parts;
    return {};
  }
  bool TryWrite(std::string part) override { return Write(std::move(part)).ok(); }
  void Finish() override { ++finishes; }

  net::HttpResponse answer;
  int answers = 0, parts = 0, finishes = 0;
  bool streamed = false, client_gone = false;

 private:
  net::HttpRequest request_;
};

std::string Inflate(const std::string& data, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, window_bits), Z_OK);
  std::string out(8 << 20, '\0');
  std::string input = data;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(JsonWriter, SetsCommasByItself) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject().Key("a").Int(-1).Key("b").BeginArray().Bool(true).Null().BeginObject();
  json.EndObject().EndArray().Key("c").String("x\"<").Key("d").Raw("[1]").EndObject();
  EXPECT_EQ(out, R"({"a":-1,"b":[true,null,{}],"c":"x\"\u003c","d":[1]})");
}

TEST(JsonWriter, WritesTimestampsWithThreeDecimalsOrNone) {
  struct Case {
    int64_t milliseconds;
    std::string_view want;
  };
  for (const Case& c : {Case{0, "0"}, Case{1000, "1"}, Case{1500, "1.500"}, Case{1, "0.001"},
                        Case{-1, "-0.001"}, Case{-2500, "-2.500"}, Case{-3000, "-3"}}) {
    std::string out;
    JsonWriter(&out).Timestamp(c.milliseconds);
    EXPECT_EQ(out, c.want);
  }
}

TEST(JsonWriter, SpellsSampleValuesAsUpstream) {
  struct Case {
    double value;
    std::string_view want;
  };
  const double inf = std::numeric_limits<double>::infinity();
  for (const Case& c : {Case{1.5, "\"1.5\""}, Case{1e-7, "\"1e-07\""}, Case{1e21, "\"1e+21\""},
                        Case{1e20, "\"100000000000000000000\""}, Case{inf, "\"+Inf\""},
                        Case{-inf, "\"-Inf\""}, Case{std::nan(""), "\"NaN\""}}) {
    std::string out;
    JsonWriter(&out).SampleValue(c.value);
    EXPECT_EQ(out, c.want);
  }
}

TEST(Params, ParseTime) {
  struct Case {
    std::string_view text;
    int64_t want;
  };
  for (const Case& c :
       {Case{"0", 0}, Case{"1.5", 1500}, Case{"1.0006", 1001}, Case{"-1.5", -1500},
        Case{"NaN", kMinTimeMs}, Case{"Inf", kMinTimeMs}, Case{"1e300", kMinTimeMs},
        Case{"1970-01-01T00:00:01Z", 1000}, Case{"1970-01-01T01:00:00.123+01:00", 123},
        Case{"-292273086-05-16T16:47:06Z", kMinTimeMs},
        Case{"292277025-08-18T07:12:54.999999999Z", kMaxTimeMs}}) {
    SCOPED_TRACE(c.text);
    const Result<int64_t> got = ParseTime(c.text);
    ASSERT_TRUE(got.ok()) << got.status().message();
    EXPECT_EQ(*got, c.want);
  }
  for (const std::string_view text : {"", "x", "1e400", "2020-01-01"}) {
    EXPECT_EQ(ParseTime(text).status().message(),
              "cannot parse \"" + std::string(text) + "\" to a valid timestamp");
  }
}

TEST(Params, ParseDuration) {
  EXPECT_EQ(*ParseDurationParam("1.5"), 1'500'000'000);
  EXPECT_EQ(*ParseDurationParam("1m30s"), 90'000'000'000);
  EXPECT_EQ(ParseDurationParam("x").status().message(), "cannot parse \"x\" to a valid duration");
  EXPECT_EQ(ParseDurationParam("1e30").status().message(),
            "cannot parse \"1e30\" to a valid duration. It overflows int64");
}

TEST(Params, ParseLimit) {
  const auto parse = [](std::string query) {
    net::HttpRequest request;
    request.query = std::move(query);
    return ParseLimit(ParseQuery(request));
  };
  EXPECT_EQ(*parse(""), 0U);
  EXPECT_EQ(*parse("limit=7"), 7U);
  EXPECT_EQ(parse("limit=-1").status().message(),
            "invalid parameter \"limit\": limit must be non-negative");
  EXPECT_EQ(parse("limit=x").status().message(),
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax");
  EXPECT_EQ(parse("limit=99999999999999999999").status().message(),
            "invalid parameter \"limit\": strconv.Atoi: parsing \"99999999999999999999\": "
            "value out of range");
}

TEST(Router, AnswersLikeHttprouter) {
  Router router;
  const auto reply = [](std::shared_ptr<net::HttpExchange> exchange, const PathParameters& found) {
    std::string text;
    for (const auto& [name, value] : found) text += name + "=" + value;
    RespondPlain(*exchange, 200, text);
  };
  router.Handle({"GET", "HEAD"}, "/label/:name/values", reply);
  router.Handle({"GET"}, "/assets/*file", reply);
  router.Handle({"POST", "PUT"}, "/change", reply);
  router.Handle({"GET"}, "/api/query", reply);
  router.SetRedirectPrefix("/api");
  struct Case {
    std::string method, path, query;
    int status;
    std::string header, value, body;
  };
  for (const Case& c : {
           Case{"GET", "/label/a%20b/values", "", 200, "", "", "name=a b"},
           // An escaped slash is a slash.
           Case{"GET", "/label/a%2Fb/values", "", 404, "", "", "404 page not found\n"},
           Case{"GET", "/label/%zz/values", "", 400, "", "", "400 Bad Request"},
           Case{"HEAD", "/label/x/values", "", 200, "", "", "name=x"},
           Case{"GET", "/label//values", "", 307, "Location", "/label/values",
                "<a href=\"/label/values\">Temporary Redirect</a>.\n\n"},
           Case{"GET", "/assets/../label/<x>/values", "", 307, "Location", "/label/<x>/values",
                "<a href=\"/label/&lt;x&gt;/values\">Temporary Redirect</a>.\n\n"},
           Case{"GET", "/assets", "", 301, "Location", "/assets/",
                "<a href=\"/assets/\">Moved Permanently</a>.\n\n"},
           Case{"GET", "/Api/query", "", 404, "", "", "404 page not found\n"},
           Case{"GET", "/api/Query", "a=1", 301, "Location", "/query?a=1",
                "<a href=\"/query?a=1\">Moved Permanently</a>.\n\n"},
           Case{"GET", "/LABEL/aB/Values", "", 301, "Location", "/label/aB/values",
                "<a href=\"/label/aB/values\">Moved Permanently</a>.\n\n"},
           Case{"GET", "/assets/a/b.js", "", 200, "", "", "file=/a/b.js"},
           Case{"GET", "/nothing", "", 404, "", "", "404 page not found\n"},
           Case{"GET", "/change", "", 405, "Allow", "OPTIONS, POST, PUT", "Method Not Allowed\n"},
           Case{"OPTIONS", "/change", "", 200, "Allow", "OPTIONS, POST, PUT", ""},
           Case{"OPTIONS", "/nothing", "", 404, "", "", "404 page not found\n"},
           Case{"GET", "/label/x/values/", "a=1", 301, "Location", "/label/x/values?a=1",
                "<a href=\"/label/x/values?a=1\">Moved Permanently</a>.\n\n"},
           Case{"POST", "/change/", "", 307, "Location", "/change", ""},
       }) {
    SCOPED_TRACE(c.method + " " + c.path);
    const auto exchange = std::make_shared<FakeExchange>(c.method, c.path, c.query);
    router.Serve(exchange);
    EXPECT_EQ(exchange->answer.status, c.status);
    EXPECT_EQ(exchange->answer.body, c.body);
    if (!c.header.empty()) EXPECT_EQ(exchange->answer.headers.Get(c.header), c.value);
  }
}

TEST(ResponseWriter, ChoosesTheFirstExactCoding) {
  EXPECT_EQ(ChooseContentCoding("br, gzip"), ContentCoding::kGzip);
  EXPECT_EQ(ChooseContentCoding("deflate,gzip"), ContentCoding::kDeflate);
  EXPECT_EQ(ChooseContentCoding("gzip;q=1"), ContentCoding::kIdentity);
}

TEST(ResponseWriter, SendsSmallAnswersWholeAndLargeOnesInParts) {
  for (const ContentCoding coding :
       {ContentCoding::kIdentity, ContentCoding::kGzip, ContentCoding::kDeflate}) {
    for (const int pieces : {1, 30}) {
      const auto exchange = std::make_shared<FakeExchange>("GET", "/");
      std::string want;
      {
        ResponseWriter writer(exchange, {}, coding);
        for (int i = 0; i < pieces; ++i) {
          const std::string piece(100'000, static_cast<char>('a' + i % 26));
          want += piece;
          writer.buffer() += piece;
          ASSERT_TRUE(writer.Flush().ok());
        }
        writer.Finish();
      }
      const std::string& body = exchange->answer.body;
      EXPECT_EQ(exchange->answers, 1);
      EXPECT_EQ(exchange->streamed, pieces > 1);
      EXPECT_EQ(exchange->finishes, pieces > 1 ? 1 : 0);
      if (coding == ContentCoding::kIdentity) EXPECT_TRUE(body == want);
      if (coding == ContentCoding::kGzip) EXPECT_TRUE(Inflate(body, 31) == want);
      if (coding == ContentCoding::kDeflate) EXPECT_TRUE(Inflate(body, 15) == want);
    }
  }
}

TEST(ResponseWriter, TellsThatTheClientIsGone) {
  const auto exchange = std::make_shared<FakeExchange>("GET", "/");
  exchange->client_gone = true;
  ResponseWriter writer(exchange, {}, ContentCoding::kIdentity);
  writer.buffer().assign(1 << 20, 'x');
  EXPECT_EQ(writer.Flush().code(), ErrorCode::kCanceled);
}

TEST(Notifications, TellSubscribersOfEveryChangeOnce) {
  Notifications notifications(1);
  notifications.Add("first");
  notifications.Add("first");
  std::vector<std::string> seen;
  const auto id = notifications.Subscribe(
      [&](const Notification& n) { seen.push_back(n.text + (n.active ? "+" : "-")); });
  EXPECT_NE(id, 0U);
  EXPECT_EQ(notifications.Subscribe([](const Notification&) {}), 0U);
  EXPECT_EQ(notifications.refused_subscribers(), 1U);
  notifications.Add("second");
  notifications.Remove("first");
  notifications.Remove("absent");
  notifications.Unsubscribe(id);
  notifications.Add("third");
  EXPECT_THAT(seen, ElementsAre("first+", "second+", "first-"));
  EXPECT_EQ(NotificationJson({"a", 0, true}),
            R"({"text":"a","date":"1970-01-01T00:00:00Z","active":true})");
}

// Range results come as columns; the text is that of the same samples one by one.
TEST(QueryJson, WritesColumnsLikeSamples) {
  constexpr size_t kSteps = 2500;
  promql::QueryResult samples;
  promql::QueryResult columns;
  samples.type = columns.type = promql::ValueType::kMatrix;
  columns.start_ms = 1'767'225'600'500;
  columns.step_ms = 15'250;
  FloatHistogram histogram;
  histogram.count = 3;
  histogram.sum = 4.5;
  histogram.positive_spans = {{0, 1}};
  histogram.positive_buckets = {3};
  const double values[] = {0,         -0.0,      1.5,  1e21,  -1e21,    1.0 / 3,
                           123456789, 5e-324,    1e-7, -2e20, 1e15 + 1, 18446744073709551616.0,
                           HUGE_VAL,  -HUGE_VAL, NAN};
  for (int series = 0; series < 4; ++series) {
    const Labels labels{{"__name__", "m"}, {"i", std::to_string(series)}};
    promql::RangeSeries raw{.labels = labels, .samples = {}};
    promql::StepColumn column(kSteps);
    for (size_t step = 0; step < kSteps; ++step) {
      if ((step + static_cast<size_t>(series)) % 7 == 0) continue;
      const int64_t time = columns.start_ms + static_cast<int64_t>(step) * columns.step_ms;
      if (series >= 2 && (series == 3 || step % 3 == 0)) {
        auto shared = std::make_shared<const FloatHistogram>(histogram);
        raw.samples.AddHistogram(time, shared);
        column.SetHistogram(step, shared);
      } else {
        raw.samples.AddFloat(time, values[step % std::size(values)]);
        column.Set(step, values[step % std::size(values)]);
      }
    }
    samples.matrix.push_back(std::move(raw));
    columns.columns.push_back({labels, std::move(column)});
  }
  for (const size_t limit : {size_t{0}, size_t{3}}) {
    std::string texts[2];
    bool cut[2] = {};
    for (int i = 0; i < 2; ++i) {
      const auto exchange = std::make_shared<FakeExchange>("GET", "/");
      ResponseWriter writer(exchange, {}, ContentCoding::kIdentity);
      EXPECT_TRUE(
          WriteQueryResult(i == 0 ? samples : columns, limit, StatsLevel::kNone, writer, &cut[i])
              .ok());
      writer.Finish();
      texts[i] = exchange->answer.body;
    }
    EXPECT_GT(texts[0].size(), 100'000U);
    EXPECT_EQ(texts[0], texts[1]);
    EXPECT_EQ(cut[0], limit != 0);
    EXPECT_EQ(cut[1], limit != 0);
  }
}

TEST(QueryJson, WritesEveryKindAndCutsAtTheLimit) {
  const auto write = [](const promql::QueryResult& result, size_t limit, bool* cut) {
    const auto exchange = std::make_shared<FakeExchange>("GET", "/");
    ResponseWriter writer(exchange, {}, ContentCoding::kIdentity);
    EXPECT_TRUE(WriteQueryResult(result, limit, StatsLevel::kNone, writer, cut).ok());
    writer.Finish();
    return exchange->answer.body;
  };
  bool cut = false;
  promql::QueryResult result;
  result.type = promql::ValueType::kScalar;
  result.timestamp_ms = 1500;
  result.scalar = 2;
  EXPECT_EQ(write(result, 0, &cut), R"({"resultType":"scalar","result":[1.500,"2"]})");
  result.type = promql::ValueType::kString;
  result.string = "s";
  EXPECT_EQ(write(result, 0, &cut), R"({"resultType":"string","result":[1.500,"s"]})");
  result.type = promql::ValueType::kMatrix;
  EXPECT_EQ(write(result, 0, &cut), R"({"resultType":"matrix","result":[]})");
  result.type = promql::ValueType::kVector;
  result.vector.resize(2);
  result.vector[0].timestamp_ms = 1000;
  result.vector[0].value = 3;
  EXPECT_EQ(write(result, 1, &cut),
            R"({"resultType":"vector","result":[{"metric":{},"value":[1,"3"]}]})");
  EXPECT_TRUE(cut);
}

}  // namespace
}  // namespace narthex::web
