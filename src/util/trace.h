// Spans: what a request or task did, when, and under which other one. W3C Trace Context names them.
//
//   HTTP request ─ promqlRangeQuery ─ promqlExec ─ promqlEval ─ promqlInnerEval
//
// A thread has a current span, under which new ones stand; thread pools hand it to their tasks. A
// span that ends goes to the recorder, which sends it somewhere. Whether a trace is recorded is
// decided at its first span, and its children elsewhere are told. Without a recorder a span costs
// one look at a flag, and nothing is passed on.
//
// Threads: any. One span belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace narthex {

// Which span of which trace; by value everywhere.
struct TraceContext {
  uint64_t trace_high = 0;  // The 16 bytes of the trace's name, big-endian halves.
  uint64_t trace_low = 0;
  uint64_t span = 0;
  bool sampled = false;

  bool valid() const { return (trace_high | trace_low) != 0 && span != 0; }
  // Lower-case hexadecimal digits, 32 and 16 of them.
  std::string TraceText() const;
  std::string SpanText() const;
  bool operator==(const TraceContext&) const = default;
};

// The header field `traceparent`: "00-<trace>-<span>-<flags>". Nothing when it is malformed.
std::optional<TraceContext> ParseTraceparent(std::string_view text);
std::string FormatTraceparent(const TraceContext& context);

enum class SpanKind : uint8_t { kInternal = 1, kServer = 2, kClient = 3 };  // OTLP's numbers.

using SpanValue = std::variant<bool, int64_t, double, std::string>;

struct FinishedSpan {
  TraceContext context;
  uint64_t parent = 0;  // 0: the first of its trace.
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  int64_t start_nanos = 0;  // Since 1970, as is the next one.
  int64_t end_nanos = 0;
  std::vector<std::pair<std::string, SpanValue>> attributes;
  bool failed = false;
  std::string error;
};

class SpanRecorder {
 public:
  virtual ~SpanRecorder() = default;
  // Whether a trace that begins here is recorded.
  virtual bool Samples(const TraceContext& context) = 0;
  // Must not block.
  virtual void Record(FinishedSpan span) = 0;
};

// For the whole process; null: no more spans. Those under way still go to the one before.
void InstallSpanRecorder(std::shared_ptr<SpanRecorder> recorder);

// Of this thread; not valid() outside spans.
const TraceContext& CurrentTrace();

// Makes a span current on this thread for a while.
class TraceScope {
 public:
  explicit TraceScope(const TraceContext& context);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  TraceContext before_;
};

class TraceSpan {
 public:
  // Records nothing.
  TraceSpan() = default;
  // Begins now, or at `start_nanos`, under the current span.
  explicit TraceSpan(std::string_view name, SpanKind kind = SpanKind::kInternal,
                     int64_t start_nanos = 0);
  // Under `parent`, or the first of a new trace.
  TraceSpan(std::string_view name, SpanKind kind, const TraceContext& parent,
            int64_t start_nanos = 0);
  ~TraceSpan() { End(); }
  TraceSpan(TraceSpan&& other) noexcept;
  TraceSpan& operator=(TraceSpan&& other) noexcept;

  // Ask before making attributes that cost something.
  bool recording() const { return span_ != nullptr; }
  const TraceContext& context() const { return context_; }
  void Set(std::string_view key, SpanValue value);
  void SetError(std::string_view error);
  // Now, or at `end_nanos`; later calls do nothing.
  void End(int64_t end_nanos = 0);

 private:
  struct Open {
    std::shared_ptr<SpanRecorder> recorder;
    FinishedSpan span;
  };
  TraceContext context_;
  std::unique_ptr<Open> span_;  // Null unless the trace is recorded.
};

// A span that is current while it lives.
class ScopedSpan {
 public:
  explicit ScopedSpan(std::string_view name) : span_(name), scope_(span_.context()) {}
  TraceSpan* operator->() { return &span_; }
  TraceSpan& operator*() { return span_; }

 private:
  TraceSpan span_;
  TraceScope scope_;
};

}  // namespace narthex
