#include "util/trace.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <random>

#include "util/time.h"

namespace narthex {
namespace {

thread_local TraceContext current;

struct Installed {
  std::atomic<bool> any{false};  // Looked at first: the usual answer is no.
  std::mutex mutex;
  std::shared_ptr<SpanRecorder> recorder;  // Guarded by mutex.
};
Installed& TheRecorder() {
  static Installed installed;
  return installed;
}

std::shared_ptr<SpanRecorder> GetRecorder() {
  Installed& installed = TheRecorder();
  if (!installed.any.load(std::memory_order_relaxed)) return nullptr;
  const std::lock_guard lock(installed.mutex);
  return installed.recorder;
}

// Never zero, which names nothing.
uint64_t NewId() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  uint64_t id = 0;
  while (id == 0) id = random();
  return id;
}

std::optional<uint64_t> ParseHex(std::string_view text) {
  uint64_t value = 0;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string TraceContext::TraceText() const {
  return fmt::format("{:016x}{:016x}", trace_high, trace_low);
}

std::string TraceContext::SpanText() const {
  return fmt::format("{:016x}", span);
}

std::optional<TraceContext> ParseTraceparent(std::string_view text) {
  // 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const std::optional<uint64_t> version = ParseHex(text.substr(0, 2));
  const std::optional<uint64_t> high = ParseHex(text.substr(3, 16));
  const std::optional<uint64_t> low = ParseHex(text.substr(19, 16));
  const std::optional<uint64_t> span = ParseHex(text.substr(36, 16));
  const std::optional<uint64_t> flags = ParseHex(text.substr(53, 2));
  if (!version || !high || !low || !span || !flags || *version == 0xff) return std::nullopt;
  // Later versions may append fields.
  if (*version == 0 ? text.size() != 55 : text.size() > 55 && text[55] != '-') return std::nullopt;
  const TraceContext context{*high, *low, *span, (*flags & 1) != 0};
  return context.valid() ? std::optional(context) : std::nullopt;
}

std::string FormatTraceparent(const TraceContext& context) {
  return fmt::format("00-{}-{}-{:02x}", context.TraceText(), context.SpanText(),
                     context.sampled ? 1 : 0);
}

void InstallSpanRecorder(std::shared_ptr<SpanRecorder> recorder) {
  Installed& installed = TheRecorder();
  const std::lock_guard lock(installed.mutex);
  installed.any.store(recorder != nullptr, std::memory_order_relaxed);
  installed.recorder = std::move(recorder);
}

const TraceContext& CurrentTrace() {
  return current;
}

TraceScope::TraceScope(const TraceContext& context) : before_(current) {
  current = context;
}

TraceScope::~TraceScope() {
  current = before_;
}

TraceSpan::TraceSpan(std::string_view name, SpanKind kind, int64_t start_nanos)
    : TraceSpan(name, kind, current, start_nanos) {}

TraceSpan::TraceSpan(std::string_view name, SpanKind kind, const TraceContext& parent,
                     int64_t start_nanos) {
  std::shared_ptr<SpanRecorder> recorder = GetRecorder();
  if (recorder == nullptr) return;
  context_ = parent;
  context_.span = NewId();
  if (!parent.valid()) {
    context_.trace_high = NewId();
    context_.trace_low = NewId();
    context_.sampled = recorder->Samples(context_);
  }
  if (!context_.sampled) return;
  span_ = std::make_unique<Open>();
  span_->recorder = std::move(recorder);
  span_->span.context = context_;
  span_->span.parent = parent.valid() ? parent.span : 0;
  span_->span.name = name;
  span_->span.kind = kind;
  span_->span.start_nanos = start_nanos != 0 ? start_nanos : Clock::System().NowNanos();
}

TraceSpan::TraceSpan(TraceSpan&& other) noexcept
    : context_(std::exchange(other.context_, {})), span_(std::move(other.span_)) {}

TraceSpan& TraceSpan::operator=(TraceSpan&& other) noexcept {
  if (this == &other) return *this;
  End();
  context_ = std::exchange(other.context_, {});
  span_ = std::move(other.span_);
  return *this;
}

void TraceSpan::Set(std::string_view key, SpanValue value) {
  if (span_ != nullptr) span_->span.attributes.emplace_back(key, std::move(value));
}

void TraceSpan::SetError(std::string_view error) {
  if (span_ == nullptr) return;
  span_->span.failed = true;
  span_->span.error = error;
}

void TraceSpan::End(int64_t end_nanos) {
  if (span_ == nullptr) return;
  const std::unique_ptr<Open> ended = std::move(span_);
  ended->span.end_nanos = end_nanos != 0 ? end_nanos : Clock::System().NowNanos();
  ended->recorder->Record(std::move(ended->span));
}

}  // namespace narthex
