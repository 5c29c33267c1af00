#include "scrape/scrape_loop.h"

#include <algorithm>
#include <utility>

#include "exposition/content_type.h"
#include "util/compress.h"
#include "util/log.h"
#include "util/numbers.h"

namespace narthex::scrape {
namespace {

constexpr int kStatusOk = 200;
// Bound of a body, packed or not, where body_size_limit sets none: no page is larger; bombs and
// bodies without an end are.
constexpr size_t kBodyBytesMax = size_t{512} << 20;
// Of a packed page, roughly.
constexpr size_t kUnpackedFactor = 12;
// Tolerance of the schedule as a share of the interval.
constexpr int64_t kToleranceShare = 100;
// Stale markers wait for this part of the interval after the second missed tick.
constexpr int64_t kMarkerGraceShare = 10;

Status BodyTooLarge() {
  return {ErrorCode::kLimitExceeded, "body size limit exceeded"};
}

}  // namespace

ScrapeLoop::ScrapeLoop(std::shared_ptr<ScrapeRuntime> runtime, std::shared_ptr<Target> target,
                       LoopSettings settings)
    : runtime_(std::move(runtime)), target_(std::move(target)), settings_(std::move(settings)) {
  const Target::Timing timing = target_->timing();
  interval_nanos_ = timing.interval_nanos;
  timeout_nanos_ = timing.timeout_nanos;
  forced_error_ = timing.error;
  scraper_ = std::make_shared<TargetScraper>(MakeScraperSettings(), runtime_->interner,
                                             &runtime_->metrics);
}

ScraperSettings ScrapeLoop::MakeScraperSettings() const {
  const ScrapeConfig& config = *settings_.config;
  ScraperSettings settings;
  settings.config = settings_.config;
  settings.features = runtime_->options.features;
  settings.target_labels = target_->public_labels();
  settings.name = target_->url();
  settings.native_histograms =
      target_->BoolLabel(kNativeHistogramsLabel, config.scrape_native_histograms.value_or(false));
  settings.always_classic = target_->BoolLabel(
      kAlwaysClassicLabel, config.always_scrape_classic_histograms.value_or(false));
  settings.convert_classic = target_->BoolLabel(
      kConvertClassicLabel, config.convert_classic_histograms_to_nhcb.value_or(false));
  settings.timeout_nanos = timeout_nanos_;
  return settings;
}

FetchRequest ScrapeLoop::MakeRequest() {
  const ScrapeConfig& config = *settings_.config;
  FetchRequest request;
  request.url = target_->url();
  request.timeout_nanos = timeout_nanos_;
  request.body_bytes_max = config.body_size_limit.bytes > 0
                               ? static_cast<size_t>(config.body_size_limit.bytes)
                               : kBodyBytesMax;
  request.unix_socket = target_->unix_socket();
  request.client = settings_.client;
  if (headers_ == nullptr) {
    std::string_view encoding = "identity";
    if (config.enable_compression) {
      encoding = runtime_->options.features.zstd ? "zstd,gzip" : "gzip";
    }
    headers_ = std::make_shared<const FetchHeaders>(FetchHeaders{
        {"Accept",
         exposition::AcceptHeader(config.scrape_protocols, config.metric_name_escaping_scheme)},
        {"Accept-Encoding", std::string(encoding)},
        {"User-Agent", runtime_->options.user_agent},
        {"X-Prometheus-Scrape-Timeout-Seconds",
         FormatFloatF(static_cast<double>(timeout_nanos_) / 1e9)},
    });
    interval_text_ = FormatGoDuration(interval_nanos_);
  }
  request.headers = headers_;
  return request;
}

// ---------------------------------------------------------------------------------------------
// The schedule
// ---------------------------------------------------------------------------------------------

void ScrapeLoop::Start() {
  const std::lock_guard lock(mutex_);
  ScheduleFirst();
}

void ScrapeLoop::ScheduleFirst() {
  const int64_t now = runtime_->environment.clock->NowNanos();
  int64_t delay = runtime_->options.initial_offset_nanos;
  if (!runtime_->options.skip_offsets) {
    delay += ScrapeOffset(target_->hash(), interval_nanos_, settings_.offset_seed, now);
  }
  aligned_nanos_ = 0;
  tick_waits_ = false;
  next_tick_nanos_ = now + delay;
  ArmTimer(delay);
}

void ScrapeLoop::ArmTimer(int64_t delay_nanos) {
  if (timer_ != 0) runtime_->environment.timers->Cancel(timer_);
  const uint64_t generation = ++generation_;
  timer_ = runtime_->environment.timers->RunAfter(
      std::max<int64_t>(delay_nanos, 0),
      [self = shared_from_this(), generation] { self->OnTick(generation); });
}

// Ticks keep their distance to the first one; those that passed unseen are dropped.
void ScrapeLoop::ScheduleNext(int64_t now_nanos) {
  next_tick_nanos_ += interval_nanos_;
  if (next_tick_nanos_ <= now_nanos) {
    next_tick_nanos_ += (now_nanos - next_tick_nanos_) / interval_nanos_ * interval_nanos_;
    if (next_tick_nanos_ <= now_nanos) next_tick_nanos_ += interval_nanos_;
  }
  ArmTimer(next_tick_nanos_ - now_nanos);
}

void ScrapeLoop::OnTick(uint64_t generation) {
  const ScrapeRuntime::Permit permit = runtime_->Acquire();
  if (!permit) return;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || generation != generation_) return;
    timer_ = 0;
    const int64_t now = runtime_->environment.clock->NowNanos();
    if (aligned_nanos_ == 0) aligned_nanos_ = next_tick_nanos_ = now;
    ScheduleNext(now);
    if (busy_) {
      tick_waits_ = true;
      return;
    }
    busy_ = true;
  }
  BeginScrape();
}

// Entered with busy_ set, by whoever set it.
void ScrapeLoop::BeginScrape() {
  auto permit = std::make_shared<ScrapeRuntime::Permit>(runtime_->Acquire());
  if (!*permit) return;
  FetchRequest request;
  Status forced;
  std::string interval_text;
  double since_last = 0;
  {
    const std::lock_guard lock(mutex_);
    const int64_t now = runtime_->environment.clock->NowNanos();
    scrape_time_nanos_ = now;
    if (runtime_->options.align_timestamps) {
      const int64_t late = now - aligned_nanos_;
      if (late >= interval_nanos_) aligned_nanos_ += late / interval_nanos_ * interval_nanos_;
      const int64_t tolerance =
          std::min(interval_nanos_ / kToleranceShare, runtime_->options.timestamp_tolerance_nanos);
      if (now - aligned_nanos_ <= tolerance) scrape_time_nanos_ = aligned_nanos_;
    }
    scrape_start_nanos_ = MonotonicNanos();
    if (last_start_nanos_ != 0) {
      since_last = static_cast<double>(scrape_start_nanos_ - last_start_nanos_) / 1e9;
    }
    last_start_nanos_ = scrape_start_nanos_;
    forced = forced_error_;
    if (forced.ok()) request = MakeRequest();
    if (since_last > 0) interval_text = interval_text_;
  }
  if (!interval_text.empty()) runtime_->observer().ObserveInterval(interval_text, since_last);
  TraceRequest(&request);
  const auto done = [self = shared_from_this(), permit](FetchResponse response) {
    self->TraceAnswer(response);
    // A packed page counts as what it may become.
    const size_t unpacks = response.content_encoding.empty() ? 1 : kUnpackedFactor;
    if (self->runtime_->BeginInline(response.body.size() * unpacks)) {
      const int64_t began = MonotonicNanos();
      self->Process(std::move(response));
      self->runtime_->EndInline(began);
      return;
    }
    auto shared = std::make_shared<FetchResponse>(std::move(response));
    self->runtime_->environment.pool->Submit(
        [self, permit, shared] { self->Process(std::move(*shared)); });
  };
  if (!forced.ok()) {
    FetchResponse response;
    response.error = std::move(forced);
    done(std::move(response));
    return;
  }
  const Fetcher::RequestId id = runtime_->environment.fetcher->Fetch(std::move(request), done);
  const std::lock_guard lock(mutex_);
  if (busy_) fetch_ = id;
  // A stop that came before the id was known.
  if (change_ && change_->stop && change_->markers == Markers::kNone) {
    runtime_->environment.fetcher->Cancel(id);
  }
}

// ---------------------------------------------------------------------------------------------
// The answer
// ---------------------------------------------------------------------------------------------

ScrapedPage ScrapeLoop::Unpack(FetchResponse* response, std::string* unpacked,
                               const LoopSettings& settings) {
  ScrapedPage page;
  const auto fail = [&](Status status) {
    if (status.code() == ErrorCode::kLimitExceeded) {
      ScrapeMetrics::Add(runtime_->metrics.exceeded_body_size_limit_total);
      page.body_bytes = -1;
      status = BodyTooLarge();
    }
    page.error = std::move(status);
    return page;
  };
  if (!response->error.ok()) return fail(response->error);
  if (response->status != kStatusOk) {
    return fail(MakeError(ErrorCode::kUnavailable, "server returned HTTP status {}",
                          response->status_text));
  }
  const int64_t limit = settings.config->body_size_limit.bytes;
  const size_t bytes_max = limit > 0 ? static_cast<size_t>(limit) : kBodyBytesMax;
  std::string_view body = response->body;
  if (response->content_encoding == "gzip" || response->content_encoding == "zstd") {
    const bool zstd = response->content_encoding == "zstd";
    if (zstd && !runtime_->options.features.zstd) {
      return fail(MakeError(ErrorCode::kInvalidInput,
                            "received a zstd-compressed response, but the \"zstd-scrape\" feature "
                            "flag is not enabled"));
    }
    // Go's reader wants a header even where nothing follows.
    if (body.empty()) return fail(Status(ErrorCode::kCorruption, "EOF"));
    const Result<std::string_view> plain = zstd ? ZstdDecompressInto(body, bytes_max, unpacked)
                                                : GzipDecompressInto(body, bytes_max, unpacked);
    if (!plain.ok()) return fail(plain.status());
    body = *plain;
  }
  // At the limit counts as beyond it.
  if (limit > 0 && body.size() >= static_cast<size_t>(limit)) return fail(BodyTooLarge());
  page.body = body;
  page.content_type = response->content_type;
  page.body_bytes = static_cast<int64_t>(body.size());
  return page;
}

void ScrapeLoop::TraceRequest(FetchRequest* request) {
  span_ = TraceSpan("scrape", SpanKind::kInternal, TraceContext());
  if (!span_.context().valid() || request->url.empty()) return;
  request_span_ = TraceSpan("scrapeRequest", SpanKind::kClient, span_.context());
  http_span_ = TraceSpan("HTTP GET", SpanKind::kClient, request_span_.context());
  request->traceparent = FormatTraceparent(http_span_.context());
  if (!span_.recording()) return;
  request_span_.Set("url", target_->url());
  http_span_.Set("http.request.method", "GET");
  http_span_.Set("url.full", target_->url());
}

void ScrapeLoop::TraceAnswer(const FetchResponse& response) {
  if (!span_.recording()) return;
  if (response.error.ok()) {
    http_span_.Set("http.response.status_code", int64_t{response.status});
  } else {
    http_span_.SetError(response.error.message());
  }
  http_span_.End();
  request_span_.End();
}

void ScrapeLoop::Process(FetchResponse response) {
  const TraceScope scope(span_.context());
  LoopSettings settings;
  std::shared_ptr<TargetScraper> scraper;
  int64_t time_nanos = 0;
  int64_t start_nanos = 0;
  bool discard = false;
  {
    const std::lock_guard lock(mutex_);
    fetch_ = 0;
    settings = settings_;
    scraper = scraper_;
    time_nanos = scrape_time_nanos_;
    start_nanos = scrape_start_nanos_;
    discard = change_ && change_->stop && change_->markers == Markers::kNone;
  }
  if (discard || (!response.error.ok() && response.error.code() == ErrorCode::kCanceled)) {
    FinishScrape();
    return;
  }
  std::unique_ptr<ScrapeScratch> scratch = runtime_->TakeScratch();
  ScrapedPage page;
  {
    ScopedSpan span("scrapeRead");
    page = Unpack(&response, &scratch->unpacked, settings);
    if (!page.error.ok()) span->SetError(page.error.message());
  }
  if (!page.error.ok()) {
    LOG_DEBUG("Scrape failed", {"scrape_pool", settings.config->job_name},
              {"target", target_->url()}, {"err", page.error.message()});
    if (settings.failure_log != nullptr) {
      settings.failure_log->Write(settings.config->job_name, target_->url(), page.error.message());
    }
  }
  double seconds = 0;
  const auto duration = [&] {
    return seconds = static_cast<double>(MonotonicNanos() - start_nanos) / 1e9;
  };
  const ScrapeOutcome outcome = scraper->ScrapeAndReport(
      page, time_nanos / kNanosPerMilli, *runtime_->environment.store, scratch.get(), duration);
  if (span_.recording()) {
    span_.Set("samples_scraped", static_cast<int64_t>(outcome.scraped));
    span_.Set("samples_added", static_cast<int64_t>(outcome.post_relabel));
    span_.Set("series_added", static_cast<int64_t>(outcome.series_added));
    span_.Set("bytes", page.body_bytes);
    if (!outcome.error.ok()) span_.SetError(outcome.error.message());
  }
  runtime_->GiveScratch(std::move(scratch));
  runtime_->environment.fetcher->Recycle(std::move(response.body));
  target_->Report({outcome.error.ok() ? TargetHealth::kUp : TargetHealth::kDown,
                   outcome.error.message(), time_nanos, seconds});
  if (settings.config->extra_scrape_metrics.value_or(false))
    runtime_->observer().ObserveScrape(duration());
  FinishScrape();
}

void ScrapeLoop::FinishScrape() {
  span_.End();
  {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    if (change_) {
      Apply(*std::exchange(change_, std::nullopt));
      return;
    }
    if (stopped_ || !tick_waits_) return;
    tick_waits_ = false;
    busy_ = true;
  }
  BeginScrape();
}

// ---------------------------------------------------------------------------------------------
// Changes
// ---------------------------------------------------------------------------------------------

void ScrapeLoop::SetForcedError(Status error) {
  const std::lock_guard lock(mutex_);
  forced_error_ = std::move(error);
}

void ScrapeLoop::SetFailureLog(std::shared_ptr<FailureLog> log) {
  const std::lock_guard lock(mutex_);
  if (change_ && change_->settings) change_->settings->failure_log = log;
  settings_.failure_log = std::move(log);
}

void ScrapeLoop::Reconfigure(LoopSettings settings, bool keep_cache) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  Change change;
  change.keep_cache = keep_cache;
  change.settings = std::move(settings);
  if (!busy_) {
    Apply(std::move(change));
    return;
  }
  // A change already waiting may have wanted a fresh cache.
  if (change_) change.keep_cache = change.keep_cache && change_->keep_cache;
  if (!change_ || !change_->stop) change_ = std::move(change);
}

void ScrapeLoop::Stop(Markers markers) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  Change change;
  change.stop = true;
  change.markers = markers;
  if (!busy_) {
    Apply(std::move(change));
    return;
  }
  change_ = std::move(change);
  if (timer_ != 0) runtime_->environment.timers->Cancel(std::exchange(timer_, 0));
  if (markers == Markers::kNone && fetch_ != 0) runtime_->environment.fetcher->Cancel(fetch_);
}

// Under the lock, with no scrape under way.
void ScrapeLoop::Apply(Change change) {
  if (change.stop) {
    stopped_ = true;
    ++generation_;
    if (timer_ != 0) runtime_->environment.timers->Cancel(std::exchange(timer_, 0));
    if (change.markers == Markers::kWrite) Retire(scraper_);
    return;
  }
  settings_ = *std::move(change.settings);
  headers_ = nullptr;
  const Target::Timing timing = target_->timing();
  const std::shared_ptr<TargetScraper> old = scraper_;
  if (!change.keep_cache) Retire(old);
  interval_nanos_ = timing.interval_nanos;
  timeout_nanos_ = timing.timeout_nanos;
  if (change.keep_cache) {
    scraper_->UpdateSettings(MakeScraperSettings());
  } else {
    scraper_ = std::make_shared<TargetScraper>(MakeScraperSettings(), runtime_->interner,
                                               &runtime_->metrics);
  }
  ScheduleFirst();
}

// The scraper's series end when the target has missed two scrapes. Should it be scraped again by
// then, under another loop, the markers come out of order and are refused.
void ScrapeLoop::Retire(std::shared_ptr<TargetScraper> scraper) {
  struct Retirement : std::enable_shared_from_this<Retirement> {
    std::shared_ptr<ScrapeRuntime> runtime;
    std::shared_ptr<TargetScraper> scraper;
    int64_t interval_nanos = 0;
    int64_t stale_ms = 0;

    void After(int64_t delay, void (Retirement::*step)()) {
      runtime->environment.timers->RunAfter(delay, [self = shared_from_this(), step] {
        if (const ScrapeRuntime::Permit permit = self->runtime->Acquire()) ((*self).*step)();
      });
    }
    void FirstMissed() {
      stale_ms = runtime->environment.clock->NowMillis();
      After(interval_nanos + interval_nanos / kMarkerGraceShare, &Retirement::Write);
    }
    void Write() {
      auto permit = std::make_shared<ScrapeRuntime::Permit>(runtime->Acquire());
      if (!*permit) return;
      runtime->environment.pool->Submit([self = shared_from_this(), permit] {
        const Status status =
            self->scraper->WriteEndOfRunMarkers(self->stale_ms, *self->runtime->environment.store);
        if (!status.ok()) {
          LOG_WARN("Stale append failed", {"target", self->scraper->settings().name},
                   {"err", status.message()});
        }
      });
    }
  };
  if (last_start_nanos_ == 0) return;  // Never scraped: there is nothing to end.
  auto retirement = std::make_shared<Retirement>();
  retirement->runtime = runtime_;
  retirement->scraper = std::move(scraper);
  retirement->interval_nanos = interval_nanos_;
  const int64_t now = runtime_->environment.clock->NowNanos();
  retirement->After(std::max<int64_t>(next_tick_nanos_ - now, 0), &Retirement::FirstMissed);
}

int64_t ScrapeLoop::interval_nanos() const {
  const std::lock_guard lock(mutex_);
  return interval_nanos_;
}

int64_t ScrapeLoop::timeout_nanos() const {
  const std::lock_guard lock(mutex_);
  return timeout_nanos_;
}

std::vector<std::shared_ptr<const FamilyMetadata>> ScrapeLoop::ListMetadata() const {
  std::shared_ptr<TargetScraper> scraper;
  {
    const std::lock_guard lock(mutex_);
    scraper = scraper_;
  }
  return scraper->metadata().List();
}

ScrapeLoop::MetadataSize ScrapeLoop::metadata_size() const {
  std::shared_ptr<TargetScraper> scraper;
  {
    const std::lock_guard lock(mutex_);
    scraper = scraper_;
  }
  return {scraper->metadata().count(), scraper->metadata().text_bytes()};
}

}  // namespace narthex::scrape
