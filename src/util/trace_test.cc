#include "util/trace.h"

#include <gtest/gtest.h>

#include <future>
#include <mutex>

#include "util/thread_pool.h"

namespace narthex {
namespace {

class Recorder : public SpanRecorder {
 public:
  explicit Recorder(bool samples) : samples_(samples) {}
  bool Samples(const TraceContext&) override { return samples_; }
  void Record(FinishedSpan span) override {
    const std::lock_guard lock(mutex_);
    spans.push_back(std::move(span));
  }
  std::vector<FinishedSpan> spans;

 private:
  const bool samples_;
  std::mutex mutex_;
};

// Installed while it lives.
struct Installed {
  explicit Installed(bool samples) : recorder(std::make_shared<Recorder>(samples)) {
    InstallSpanRecorder(recorder);
  }
  ~Installed() { InstallSpanRecorder(nullptr); }
  std::shared_ptr<Recorder> recorder;
};

TEST(Traceparent, ReadsWhatW3cAllows) {
  const struct {
    std::string_view text;
    bool valid;
  } cases[] = {
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false},
      {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true},
      {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
      {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
      {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
      {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
      {"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false},
      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false},
      {"", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const std::optional<TraceContext> context = ParseTraceparent(c.text);
    ASSERT_EQ(context.has_value(), c.valid);
    if (c.valid && c.text.starts_with("00")) EXPECT_EQ(FormatTraceparent(*context), c.text);
  }
}

TEST(Span, StandsUnderTheCurrentOneOfItsThread) {
  const Installed installed(true);
  {
    ScopedSpan outer("outer");
    outer->Set("n", int64_t{3});
    const ScopedSpan inner("inner");
    EXPECT_EQ(CurrentTrace().trace_low, outer->context().trace_low);
  }
  EXPECT_FALSE(CurrentTrace().valid());
  const std::vector<FinishedSpan>& spans = installed.recorder->spans;
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0].name, "inner");
  EXPECT_EQ(spans[0].parent, spans[1].context.span);
  EXPECT_EQ(spans[1].parent, 0U);
  EXPECT_LE(spans[1].start_nanos, spans[0].start_nanos);
  EXPECT_EQ(std::get<int64_t>(spans[1].attributes.at(0).second), 3);
}

TEST(Span, PoolsHandItToTheirTasks) {
  const Installed installed(true);
  ThreadPool pool("test", 2);
  const ScopedSpan outer("outer");
  std::promise<TraceContext> seen;
  pool.Submit([&] { seen.set_value(CurrentTrace()); });
  EXPECT_EQ(seen.get_future().get(), CurrentTrace());
}

TEST(Span, TracesThatAreNotSampledHaveNamesAndNoRecords) {
  const Installed installed(false);
  {
    ScopedSpan outer("outer");
    EXPECT_FALSE(outer->recording());
    EXPECT_TRUE(outer->context().valid());
    EXPECT_FALSE(CurrentTrace().sampled);
    // A caller that records decides for its children.
    const TraceSpan other("other", SpanKind::kServer, TraceContext{1, 2, 3, true});
    EXPECT_TRUE(other.recording());
  }
  ASSERT_EQ(installed.recorder->spans.size(), 1U);
  EXPECT_EQ(installed.recorder->spans[0].parent, 3U);
}

TEST(Span, CostsNothingWithoutARecorder) {
  TraceSpan span("nobody");
  span.Set("key", true);
  span.SetError("error");
  EXPECT_FALSE(span.context().valid());
  TraceSpan moved = std::move(span);
  moved.End();
}

TEST(Span, EndsOnce) {
  const Installed installed(true);
  TraceSpan span("once", SpanKind::kClient, TraceContext(), 1000);
  TraceSpan moved = std::move(span);
  moved.SetError("late");
  moved.End(3000);
  moved.End(4000);
  span.End();
  ASSERT_EQ(installed.recorder->spans.size(), 1U);
  const FinishedSpan& done = installed.recorder->spans[0];
  EXPECT_EQ(done.start_nanos, 1000);
  EXPECT_EQ(done.end_nanos, 3000);
  EXPECT_TRUE(done.failed);
  EXPECT_EQ(done.error, "late");
}

}  // namespace
}  // namespace narthex
