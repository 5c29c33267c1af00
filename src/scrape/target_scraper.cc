#include "scrape/target_scraper.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "model/float_histogram_ops.h"
#include "model/relabel.h"
#include "util/hash.h"
#include "util/hash_map.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"
#include "util/trace.h"

namespace narthex::scrape {
namespace {

using exposition::ContentType;
using exposition::Entry;
using storage::AppendOptions;
using storage::AppendOutcome;
using storage::SeriesRef;

// Explicit timestamps may not lie further ahead of the scrape.
constexpr int64_t kAheadMaxMs = 10 * 60 * kMillisPerSecond;
// Of a series' text. A label holds no more; upstream panics there.
constexpr size_t kSeriesBytesMax = (size_t{1} << 24) - 1;
// What error texts show of names and values.
constexpr size_t kErrorRunesMax = 50;

// "%.50s"
std::string Shortened(std::string_view text) {
  std::string_view rest = text;
  for (size_t runes = 0; runes < kErrorRunesMax && !rest.empty(); ++runes) {
    size_t size = 0;
    DecodeRune(rest, &size);
    rest.remove_prefix(size);
  }
  return std::string(text.substr(0, text.size() - rest.size()));
}

Status Invalid(std::string text) {
  return {ErrorCode::kInvalidInput, std::move(text)};
}

// Merges buckets until they fit; custom buckets cannot be merged.
template <typename H>
Status LimitBuckets(H* histogram, uint64_t limit, bool* exceeded) {
  const auto count = [&] {
    return histogram->positive_buckets.size() + histogram->negative_buckets.size();
  };
  while (count() > limit) {
    if (histogram->uses_custom_buckets() || histogram->schema <= kExponentialSchemaMin) {
      *exceeded = true;
      return {};
    }
    NARTHEX_RETURN_IF_ERROR(ReduceResolution(histogram, histogram->schema - 1));
  }
  return {};
}

struct ReportSeries {
  std::string_view name;
  std::string_view help;
  std::string_view unit;
};
constexpr std::array<ReportSeries, 8> kReportSeries = {{
    {"up", "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.",
     "targets"},
    {"scrape_duration_seconds", "Duration of the last scrape in seconds.", "seconds"},
    {"scrape_samples_scraped", "Number of samples last scraped.", "samples"},
    {"scrape_samples_post_metric_relabeling",
     "Number of samples remaining after metric relabeling was applied.", "samples"},
    {"scrape_series_added", "Number of series in the last scrape.", "series"},
    {"scrape_timeout_seconds", "The configured scrape timeout for a target.", "seconds"},
    {"scrape_sample_limit",
     "The configured sample limit for a target. Returns zero if there is no limit configured.",
     "samples"},
    {"scrape_body_size_bytes",
     "The uncompressed size of the last scrape response, if successful. Scrapes failing because "
     "body_size_limit is exceeded report -1, other scrape failures report 0.",
     "bytes"},
}};
constexpr size_t kPlainReportSeries = 5;  // The others need extra_scrape_metrics.

AppendOptions MarkerOptions() {
  AppendOptions options;
  options.discard_out_of_order = true;
  return options;
}

// Whether a refused stale marker is nothing to worry about: the target came back under another
// loop, or the store has forgotten the series.
bool IsHarmlessForMarker(const Status& status) {
  switch (status.code()) {
    case ErrorCode::kOutOfOrderSample:
    case ErrorCode::kDuplicateSample:
    case ErrorCode::kOutOfBounds:
    case ErrorCode::kTooOldSample:
    case ErrorCode::kNotFound:
    case ErrorCode::kInvalidInput: return true;
    default: return false;
  }
}

}  // namespace

struct TargetScraper::Page {
  std::string_view body;
  ContentType::Format format = ContentType::Format::kText;
  int64_t timestamp_ms = 0;
  int64_t timestamp_max_ms = 0;
  storage::Appender* appender = nullptr;
  ScrapeScratch* scratch = nullptr;
  std::unique_ptr<exposition::Parser> parser;

  ScrapeOutcome outcome;
  uint64_t appended = 0;  // Counts towards sample_limit.
  bool sample_limit_hit = false;
  bool bucket_limit_hit = false;
  bool exemplars_disabled = false;
  uint64_t out_of_order = 0;
  uint64_t duplicates = 0;
  uint64_t out_of_bounds = 0;
  uint64_t exemplars_out_of_order = 0;
  const FamilyMetadata* family = nullptr;  // Of the lines above; null once a series did not fit.

  bool limited() const { return sample_limit_hit || bucket_limit_hit; }
};

TargetScraper::TargetScraper(ScraperSettings settings, std::shared_ptr<MetadataInterner> interner,
                             ScrapeMetrics* metrics)
    : metadata_(std::move(interner)), metrics_(metrics) {
  UpdateSettings(std::move(settings));
}

void TargetScraper::UpdateSettings(ScraperSettings settings) {
  settings_ = std::move(settings);
  const ScrapeFeatures& features = settings_.features;
  parser_options_.type_and_unit_labels = features.type_and_unit_labels;
  parser_options_.ignore_native_histograms = !settings_.native_histograms;
  parser_options_.convert_classic_to_custom = settings_.convert_classic;
  parser_options_.keep_classic = settings_.always_classic;
  parser_options_.skip_created_series =
      features.start_timestamps || features.start_timestamp_zero_samples;
  fallback_media_type_ = exposition::ProtocolMediaType(settings_.config->fallback_scrape_protocol);
  schema_max_ = SchemaForBucketFactor(settings_.config->native_histogram_min_bucket_factor);
}

// ---------------------------------------------------------------------------------------------
// One page
// ---------------------------------------------------------------------------------------------

ScrapeOutcome TargetScraper::ScrapeOnce(std::string_view body, std::string_view content_type,
                                        int64_t timestamp_ms, storage::Appender& appender,
                                        ScrapeScratch* scratch) {
  Page page;
  if (body.empty()) {
    page.outcome.error = AppendStaleMarkers(timestamp_ms, appender);
    return page.outcome;
  }
  const Result<ContentType> format = exposition::ChooseFormat(
      content_type, {fallback_media_type_, settings_.features.openmetrics2});
  if (!format.ok()) {
    page.outcome.error = format.status();
    return page.outcome;
  }
  if (!format->warning.ok()) {
    LOG_DEBUG("Invalid content type on scrape, using fallback setting.",
              {"scrape_pool", settings_.config->job_name}, {"target", settings_.name},
              {"content_type", content_type}, {"err", format->warning.message()});
  }
  page.body = body;
  page.format = format->format;
  page.timestamp_ms = timestamp_ms;
  page.timestamp_max_ms = timestamp_ms + kAheadMaxMs;
  page.appender = &appender;
  page.scratch = scratch;
  page.parser = exposition::CreateParser(page.format, body, parser_options_);
  scratch->samples.clear();
  scratch->positions.clear();
  cache_.Begin(&scratch->cache);
  metadata_.Begin();

  Status status;
  // Start timestamps and metadata belong to single samples; the fast path knows neither. The text
  // format has no start timestamps at all.
  const bool fast = !needs_labels_for_all() && (page.format == ContentType::Format::kText ||
                                                !parser_options_.skip_created_series);
  for (bool more = true; more && status.ok();) {
    const SeriesEntry* expected = cache_.Expected();
    if (fast && expected != nullptr && !NewMetadata() && !expected->Is(SeriesEntry::kHistogram) &&
        page.parser->TakeKnownSeries(expected->length, expected->hash)) {
      ++page.outcome.scraped;
      const bool dropped = expected->Is(SeriesEntry::kDropped);
      cache_.TakeExpected();
      if (!dropped) {
        HandleKnownFloat(page, cache_.position(), page.parser->value(),
                         page.parser->timestamp_ms());
      }
      continue;
    }
    const Entry entry = page.parser->Next();
    switch (entry) {
      case Entry::kEnd: more = false; break;
      case Entry::kError: status = page.parser->status(); break;
      case Entry::kComment: break;
      case Entry::kType: metadata_.SetType(page.parser->family(), page.parser->type()); break;
      case Entry::kHelp: metadata_.SetHelp(page.parser->family(), page.parser->text()); break;
      case Entry::kUnit: metadata_.SetUnit(page.parser->family(), page.parser->text()); break;
      case Entry::kSeries:
      case Entry::kHistogram: status = HandleSample(page, entry); break;
    }
  }
  if (status.ok() && !page.limited()) status = FlushBatch(page);
  if (page.sample_limit_hit) {
    if (status.ok()) status = {ErrorCode::kLimitExceeded, "sample limit exceeded"};
    ScrapeMetrics::Add(metrics_->exceeded_sample_limit_total);
  }
  if (page.bucket_limit_hit) {
    if (status.ok()) status = {ErrorCode::kLimitExceeded, "histogram bucket limit exceeded"};
    ScrapeMetrics::Add(metrics_->exceeded_bucket_limit_total);
  }
  LogRefusals(page);
  metadata_.End(/*complete=*/status.ok());
  if (!status.ok()) {
    cache_.Abandon();
    page.outcome.error = std::move(status);
    return page.outcome;
  }
  cache_.Commit([&](SeriesRef ref) {
    const Result<SeriesRef> marked =
        appender.Append(ref, Labels(), timestamp_ms, StaleNan(), MarkerOptions());
    if (!marked.ok() && !IsHarmlessForMarker(marked.status()) && status.ok()) {
      status = marked.status();
    }
  });
  page.outcome.error = std::move(status);
  return page.outcome;
}

Status TargetScraper::AppendStaleMarkers(int64_t timestamp_ms, storage::Appender& appender) {
  Status status;
  cache_.MarkAllStale([&](SeriesRef ref) {
    const Result<SeriesRef> marked =
        appender.Append(ref, Labels(), timestamp_ms, StaleNan(), MarkerOptions());
    if (!marked.ok() && !IsHarmlessForMarker(marked.status()) && status.ok()) {
      status = marked.status();
    }
  });
  return status;
}

void TargetScraper::HandleKnownFloat(Page& page, uint32_t position, double value,
                                     std::optional<int64_t> timestamp) {
  SeriesEntry& entry = cache_.at(position);
  ++page.outcome.post_relabel;
  if (!settings_.config->honor_timestamps) timestamp.reset();
  if (entry.Is(SeriesEntry::kDuplicate) && !timestamp) {
    ++page.duplicates;
    return;
  }
  const uint64_t limit = settings_.config->sample_limit;
  if (limit > 0 && ++page.appended > limit) {
    page.sample_limit_hit = true;
    return;
  }
  const int64_t at_ms = timestamp.value_or(page.timestamp_ms);
  const bool in_bounds = at_ms <= page.timestamp_max_ms;
  const bool tracked = in_bounds && !entry.Is(SeriesEntry::kDuplicate) &&
                       (!timestamp || settings_.config->track_timestamps_staleness);
  if (entry.Is(SeriesEntry::kTracked) != tracked) entry.Set(SeriesEntry::kTracked, tracked);
  if (!in_bounds) {
    ++page.out_of_bounds;
    return;
  }
  page.scratch->samples.push_back({entry.ref, at_ms, value});
  page.scratch->positions.push_back(position);
}

Status TargetScraper::HandleSample(Page& page, Entry entry) {
  exposition::Parser& parser = *page.parser;
  ++page.outcome.scraped;
  page.family = metadata_.Current();
  const uint64_t hash = FastHash64(parser.series());
  const auto length = static_cast<uint32_t>(parser.series().size());
  bool repeated = false;
  const SeriesEntry* known = cache_.Take(hash, length, &repeated);
  if (known == nullptr) return HandleNewSeries(page, entry, hash, length);
  if (known->Is(SeriesEntry::kDropped)) return {};
  const uint32_t position = cache_.position();
  if (entry == Entry::kHistogram || needs_labels_for_all() || NewMetadata() ||
      (parser_options_.skip_created_series && parser.StartTimestampMs() != 0)) {
    return HandleKnownSlowly(page, entry, position);
  }
  HandleKnownFloat(page, position, parser.value(), parser.timestamp_ms());
  const std::optional<int64_t> timestamp =
      settings_.config->honor_timestamps ? parser.timestamp_ms() : std::nullopt;
  return AppendExemplars(page, /*histogram=*/false, cache_.at(position).ref, Labels(),
                         timestamp.value_or(page.timestamp_ms));
}

Result<Labels> TargetScraper::StoredLabels(exposition::Parser& parser) const {
  if (parser.series().size() > kSeriesBytesMax) {
    return MakeError(ErrorCode::kLimitExceeded,
                     "series too long to store (metric: {}, length: {}, limit: {})",
                     Shortened(parser.series()), parser.series().size(), kSeriesBytesMax);
  }
  bool dropped = false;
  Labels labels = MutateSampleLabels(parser.SeriesLabels(), settings_.target_labels,
                                     settings_.config->honor_labels,
                                     settings_.config->metric_relabel_configs, &dropped);
  if (dropped) return Labels();
  NARTHEX_RETURN_IF_ERROR(CheckLabels(labels));
  return labels;
}

Status TargetScraper::CheckLabels(const Labels& labels) const {
  const ScrapeConfig& config = *settings_.config;
  const std::string_view name = labels.metric_name();
  if (name.empty()) return Invalid("missing metric name (__name__ label)");
  const NameValidation scheme = config.metric_name_validation_scheme;
  uint64_t count = 0;
  bool valid = IsValidMetricName(scheme, name);
  std::string_view last;
  std::string_view repeated;
  for (const LabelView& label : labels) {
    ++count;
    if (label.name == last) repeated = label.name;
    last = label.name;
    if (label.name != kMetricNameLabel) valid = valid && IsValidLabelName(scheme, label.name);
    valid = valid && IsValidUtf8(label.value);
  }
  if (!valid) return Invalid("invalid metric name or label names: " + labels.ToString());
  if (!repeated.empty()) {
    return Invalid("label name " + GoQuote(repeated) + " is not unique: invalid sample");
  }
  if (config.label_limit > 0 && count > config.label_limit) {
    return Invalid(fmt::format("label_limit exceeded (metric: {}, number of labels: {}, limit: {})",
                               Shortened(name), count, config.label_limit));
  }
  const uint64_t name_max = config.label_name_length_limit;
  const uint64_t value_max = config.label_value_length_limit;
  if (name_max == 0 && value_max == 0) return {};
  for (const LabelView& label : labels) {
    if (name_max > 0 && label.name.size() > name_max) {
      return Invalid(fmt::format(
          "label_name_length_limit exceeded (metric: {}, label name: {}, length: {}, limit: {})",
          Shortened(name), Shortened(label.name), label.name.size(), name_max));
    }
    if (value_max > 0 && label.value.size() > value_max) {
      return Invalid(fmt::format(
          "label_value_length_limit exceeded (metric: {}, label name: {}, value: {}, length: {}, "
          "limit: {})",
          Shortened(name), Shortened(label.name), GoQuote(Shortened(label.value)),
          label.value.size(), value_max));
    }
  }
  return {};
}

Status TargetScraper::HandleNewSeries(Page& page, Entry entry, uint64_t hash, uint32_t length) {
  Result<Labels> labels = StoredLabels(*page.parser);
  if (!labels.ok()) {
    if (labels.status().message().find("_limit exceeded (metric") != std::string::npos) {
      ScrapeMetrics::Add(metrics_->exceeded_label_limits_total);
    }
    return std::move(labels).status();
  }
  if (labels->empty()) {
    cache_.Add(hash, length).Set(SeriesEntry::kDropped, true);
    return {};
  }
  SeriesRef ref = 0;
  bool added = false;
  NARTHEX_RETURN_IF_ERROR(AppendSample(page, entry, *labels, &ref, hash, &added));
  ++page.outcome.post_relabel;  // Not the sample that ends the scrape.
  if (!added) return {};
  SeriesEntry& fresh = cache_.Add(hash, length);
  fresh.ref = ref;
  fresh.Set(SeriesEntry::kHistogram, entry == Entry::kHistogram);
  const bool explicit_time =
      settings_.config->honor_timestamps && page.parser->timestamp_ms().has_value();
  fresh.Set(SeriesEntry::kTracked, !explicit_time || settings_.config->track_timestamps_staleness);
  if (!page.limited()) ++page.outcome.series_added;
  AppendMetadata(page, /*new_series=*/true, ref, *labels);
  return {};
}

Status TargetScraper::HandleKnownSlowly(Page& page, Entry entry, uint32_t position) {
  const std::optional<int64_t> timestamp =
      settings_.config->honor_timestamps ? page.parser->timestamp_ms() : std::nullopt;
  if (cache_.at(position).Is(SeriesEntry::kDuplicate) && !timestamp) {
    ++page.outcome.post_relabel;
    ++page.duplicates;
    return {};
  }
  // Labels are dear and the store knows the series by its reference, unless it has forgotten it;
  // then it refuses the empty label set.
  const ScrapeFeatures& features = settings_.features;
  const bool by_ref = entry == Entry::kHistogram && cache_.at(position).ref != 0 &&
                      !needs_labels_for_all() && !features.metadata_to_storage &&
                      !features.start_timestamp_zero_samples;
  Labels labels;
  SeriesRef ref = cache_.at(position).ref;
  bool added = false;
  const uint64_t appended = page.appended;
  Status status;
  if (by_ref) status = AppendSample(page, entry, labels, &ref, cache_.at(position).hash, &added);
  if (!by_ref || (!status.ok() && (status.code() == ErrorCode::kInvalidInput ||
                                   status.code() == ErrorCode::kNotFound))) {
    page.appended = appended;
    NARTHEX_TRY(labels, StoredLabels(*page.parser));
    status = AppendSample(page, entry, labels, &ref, cache_.at(position).hash, &added);
  }
  NARTHEX_RETURN_IF_ERROR(status);
  ++page.outcome.post_relabel;
  SeriesEntry& known = cache_.at(position);
  if (ref != 0) known.ref = ref;
  known.Set(SeriesEntry::kHistogram, entry == Entry::kHistogram);
  known.Set(SeriesEntry::kTracked,
            added && known.ref != 0 && !known.Is(SeriesEntry::kDuplicate) &&
                (!timestamp || settings_.config->track_timestamps_staleness));
  if (added) AppendMetadata(page, /*new_series=*/false, ref, labels);
  return {};
}

Status TargetScraper::AppendSample(Page& page, Entry entry, const Labels& labels, SeriesRef* ref,
                                   uint64_t hash, bool* added) {
  *added = false;
  exposition::Parser& parser = *page.parser;
  const ScrapeConfig& config = *settings_.config;
  const bool is_histogram = entry == Entry::kHistogram;
  const int64_t at_ms =
      (config.honor_timestamps ? parser.timestamp_ms() : std::nullopt).value_or(page.timestamp_ms);

  double value = parser.value();
  // The parser's own, or a copy where something is to be changed.
  std::optional<Histogram> changed_integer;
  std::optional<FloatHistogram> changed_floats;
  const Histogram* integer = is_histogram ? parser.histogram() : nullptr;
  const FloatHistogram* floats = is_histogram ? parser.float_histogram() : nullptr;
  const auto make_changeable = [&] {
    if (integer != nullptr && !changed_integer) integer = &changed_integer.emplace(*integer);
    if (floats != nullptr && !changed_floats) floats = &changed_floats.emplace(*floats);
  };

  AppendOptions options;
  if (parser_options_.skip_created_series) options.start_timestamp_ms = parser.StartTimestampMs();
  if (needs_labels_for_all() && options.start_timestamp_ms == 0) {
    StartSynthesis* synthesis = nullptr;
    if (const auto it = synthesis_.find(hash); it != synthesis_.end()) {
      synthesis = &it->second;
    } else if (page.family != nullptr && IsSeriesOfFamily(labels.metric_name(), page.family->family,
                                                          page.family->metadata.type)) {
      const MetricType type = page.family->metadata.type;
      const std::string_view name = labels.metric_name();
      if (type == MetricType::kCounter || type == MetricType::kHistogram ||
          (type == MetricType::kSummary && (name.ends_with("_count") || name.ends_with("_sum")))) {
        synthesis = &synthesis_[hash];
      }
    }
    if (synthesis != nullptr) {
      make_changeable();
      Result<bool> store = changed_integer  ? synthesis->Adjust(&*changed_integer, at_ms)
                           : changed_floats ? synthesis->Adjust(&*changed_floats, at_ms)
                                            : Result<bool>(synthesis->Adjust(&value, at_ms));
      if (!store.ok()) return std::move(store).status();
      options.start_timestamp_ms = synthesis->start_ms();
      options.discard_out_of_order = true;
      if (!*store) {
        *added = true;  // Known from now on, though nothing is stored yet.
        return {};
      }
    }
  }

  if (is_histogram) {
    const auto fit = [&](auto* histogram) -> Status {
      const bool exponential = !histogram->uses_custom_buckets();
      if (exponential && histogram->schema > schema_max_) {
        NARTHEX_RETURN_IF_ERROR(ReduceResolution(histogram, schema_max_));
      }
      if (config.native_histogram_bucket_limit == 0) return {};
      return LimitBuckets(histogram, config.native_histogram_bucket_limit, &page.bucket_limit_hit);
    };
    const int32_t schema = integer != nullptr ? integer->schema : floats->schema;
    if (config.native_histogram_bucket_limit != 0 || schema > schema_max_) {
      make_changeable();
      const bool was_hit = std::exchange(page.bucket_limit_hit, false);
      const Status status = changed_integer ? fit(&*changed_integer) : fit(&*changed_floats);
      const bool hit = page.bucket_limit_hit;
      page.bucket_limit_hit = was_hit || hit;
      NARTHEX_RETURN_IF_ERROR(status);
      if (hit) return {};
    }
  }
  if (config.sample_limit > 0 && ++page.appended > config.sample_limit) {
    page.sample_limit_hit = true;
    return {};
  }
  if (at_ms > page.timestamp_max_ms) {
    ++page.out_of_bounds;
    return {};
  }
  if (settings_.features.start_timestamp_zero_samples && options.start_timestamp_ms != 0) {
    FloatHistogram like;
    if (integer != nullptr) like = integer->ToFloat();
    if (floats != nullptr) like = *floats;
    const Result<SeriesRef> zero = page.appender->AppendStartZero(
        *ref, labels, at_ms, options.start_timestamp_ms, is_histogram ? &like : nullptr);
    // Best effort: the usual refusal is that the zero was stored by an earlier scrape.
    if (zero.ok() && *zero != 0) *ref = *zero;
  }
  if (!settings_.features.start_timestamps && !needs_labels_for_all()) {
    options.start_timestamp_ms = 0;
  }
  const Result<SeriesRef> stored =
      integer != nullptr ? page.appender->AppendHistogram(*ref, labels, at_ms, *integer, options)
      : floats != nullptr
          ? page.appender->AppendFloatHistogram(*ref, labels, at_ms, *floats, options)
          : page.appender->Append(*ref, labels, at_ms, value, options);
  if (!stored.ok()) return CountRefusal(page, stored.status());
  *ref = *stored;
  *added = true;
  return AppendExemplars(page, is_histogram, *ref, labels, at_ms);
}

Status TargetScraper::CountRefusal(Page& page, const Status& status) {
  switch (status.code()) {
    case ErrorCode::kOutOfOrderSample: ++page.out_of_order; return {};
    case ErrorCode::kDuplicateSample: ++page.duplicates; return {};
    case ErrorCode::kOutOfBounds: ++page.out_of_bounds; return {};
    default: return status;
  }
}

Status TargetScraper::AppendExemplars(Page& page, bool histogram, SeriesRef ref,
                                      const Labels& labels, int64_t timestamp_ms) {
  if (page.exemplars_disabled || page.limited()) return {};
  std::vector<Exemplar> exemplars;
  for (Exemplar exemplar; page.parser->NextExemplar(&exemplar); exemplar = {}) {
    if (!exemplar.has_timestamp) {
      // Native histograms give no moment that an exemplar could be told from the last one by.
      if (histogram) continue;
      exemplar.timestamp_ms = timestamp_ms;
      exemplar.has_timestamp = true;
    }
    exemplars.push_back(std::move(exemplar));
  }
  if (exemplars.empty()) return {};
  std::sort(exemplars.begin(), exemplars.end(), [](const Exemplar& a, const Exemplar& b) {
    return std::tie(a.timestamp_ms, a.value) < std::tie(b.timestamp_ms, b.value);
  });
  size_t out_of_order = 0;
  for (const Exemplar& exemplar : exemplars) {
    const Status status = page.appender->AppendExemplar(ref, labels, exemplar);
    if (status.ok()) continue;
    if (status.code() == ErrorCode::kExemplarsDisabled) {
      page.exemplars_disabled = true;
      return {};
    }
    if (status.code() == ErrorCode::kOutOfOrderExemplar) ++out_of_order;
  }
  // Some of them may be known from the scrape before; only when all are late something is wrong.
  if (out_of_order == exemplars.size()) page.exemplars_out_of_order += out_of_order;
  return {};
}

void TargetScraper::AppendMetadata(Page& page, bool new_series, SeriesRef ref,
                                   const Labels& labels) {
  if (!settings_.features.metadata_to_storage || page.family == nullptr || ref == 0) return;
  if (!new_series && !NewMetadata()) return;
  if (!IsSeriesOfFamily(labels.metric_name(), page.family->family, page.family->metadata.type)) {
    return;
  }
  const Status status = page.appender->UpdateMetadata(ref, labels, page.family->metadata);
  if (!status.ok()) {
    LOG_DEBUG("Error when updating metadata", {"target", settings_.name},
              {"err", status.message()});
  }
}

// ---------------------------------------------------------------------------------------------
// The batch
// ---------------------------------------------------------------------------------------------

Status TargetScraper::FlushBatch(Page& page) {
  ScrapeScratch& scratch = *page.scratch;
  if (scratch.samples.empty()) return {};
  scratch.outcomes.assign(scratch.samples.size(), AppendOutcome::kAccepted);
  page.appender->AppendFloats(scratch.samples, scratch.outcomes);
  std::vector<uint32_t> unknown;
  for (uint32_t i = 0; i < scratch.outcomes.size(); ++i) {
    if (scratch.outcomes[i] == AppendOutcome::kAccepted) continue;
    SeriesEntry& entry = cache_.at(scratch.positions[i]);
    switch (scratch.outcomes[i]) {
      case AppendOutcome::kUnknownSeries: unknown.push_back(i); continue;
      case AppendOutcome::kOutOfOrder: ++page.out_of_order; break;
      case AppendOutcome::kDuplicate: ++page.duplicates; break;
      case AppendOutcome::kOutOfBounds: ++page.out_of_bounds; break;
      case AppendOutcome::kTooOld: return {ErrorCode::kTooOldSample, "too old sample"};
      case AppendOutcome::kAccepted: break;
    }
    entry.Set(SeriesEntry::kTracked, false);
  }
  return unknown.empty() ? Status() : ReappendUnknown(page, unknown);
}

// The store forgot these series. Their texts are still on the page, so it is read once more.
Status TargetScraper::ReappendUnknown(Page& page, const std::vector<uint32_t>& samples) {
  ScrapeScratch& scratch = *page.scratch;
  HashMap<uint64_t, std::vector<uint32_t>> wanted;
  for (const uint32_t i : samples) {
    wanted[cache_.at(scratch.positions[i]).hash].push_back(i);
  }
  const auto parser = exposition::CreateParser(page.format, page.body, parser_options_);
  while (!wanted.empty()) {
    const Entry entry = parser->Next();
    if (entry == Entry::kEnd || entry == Entry::kError) break;
    if (entry != Entry::kSeries) continue;
    const auto found = wanted.find(FastHash64(parser->series()));
    if (found == wanted.end()) continue;
    NARTHEX_TRY(const Labels labels, StoredLabels(*parser));
    SeriesRef ref = 0;
    for (const uint32_t i : found->second) {
      SeriesEntry& known = cache_.at(scratch.positions[i]);
      const storage::RefSample& sample = scratch.samples[i];
      const Result<SeriesRef> stored =
          page.appender->Append(ref, labels, sample.timestamp_ms, sample.value, AppendOptions());
      if (stored.ok()) {
        known.ref = ref = *stored;
        continue;
      }
      known.Set(SeriesEntry::kTracked, false);
      NARTHEX_RETURN_IF_ERROR(CountRefusal(page, stored.status()));
    }
    wanted.erase(found);
  }
  return {};
}

void TargetScraper::LogRefusals(const Page& page) const {
  const std::string& pool = settings_.config->job_name;
  if (page.out_of_order > 0) {
    ScrapeMetrics::Add(metrics_->sample_out_of_order_total, page.out_of_order);
    LOG_WARN("Error on ingesting out-of-order samples", {"scrape_pool", pool},
             {"target", settings_.name}, {"num_dropped", page.out_of_order});
  }
  if (page.duplicates > 0) {
    ScrapeMetrics::Add(metrics_->sample_duplicate_total, page.duplicates);
    LOG_WARN("Error on ingesting samples with different value but same timestamp",
             {"scrape_pool", pool}, {"target", settings_.name}, {"num_dropped", page.duplicates});
  }
  if (page.out_of_bounds > 0) {
    ScrapeMetrics::Add(metrics_->sample_out_of_bounds_total, page.out_of_bounds);
    LOG_WARN("Error on ingesting samples that are too old or are too far into the future",
             {"scrape_pool", pool}, {"target", settings_.name},
             {"num_dropped", page.out_of_bounds});
  }
  if (page.exemplars_out_of_order > 0) {
    ScrapeMetrics::Add(metrics_->exemplar_out_of_order_total, page.exemplars_out_of_order);
    LOG_WARN("Error on ingesting out-of-order exemplars", {"scrape_pool", pool},
             {"target", settings_.name}, {"num_dropped", page.exemplars_out_of_order});
  }
}

// ---------------------------------------------------------------------------------------------
// Report and commit
// ---------------------------------------------------------------------------------------------

size_t TargetScraper::report_series_count() const {
  return settings_.config->extra_scrape_metrics.value_or(false) ? kReportSeries.size()
                                                                : kPlainReportSeries;
}

Labels TargetScraper::ReportLabels(size_t index) const {
  LabelsBuilder builder(Labels{{kMetricNameLabel, kReportSeries[index].name}});
  for (const LabelView& label : settings_.target_labels) {
    if (label.name == kMetricNameLabel) {
      builder.Set("exported___name__", kReportSeries[index].name);
    }
    builder.Set(label.name, label.value);
  }
  return builder.Build();
}

Status TargetScraper::AppendReport(const std::array<double, kReportSeriesMax>& values,
                                   int64_t timestamp_ms, bool stale, storage::Appender& appender) {
  const size_t count = report_series_count();
  std::array<storage::RefSample, kReportSeriesMax> samples;
  std::array<AppendOutcome, kReportSeriesMax> outcomes;
  outcomes.fill(AppendOutcome::kUnknownSeries);
  bool all_known = !stale;
  for (size_t i = 0; i < count; ++i) {
    samples[i] = {report_refs_[i], timestamp_ms, values[i]};
    all_known = all_known && report_refs_[i] != 0;
  }
  if (all_known) {
    appender.AppendFloats(std::span(samples.data(), count), std::span(outcomes.data(), count));
  }
  for (size_t i = 0; i < count; ++i) {
    // Late or repeated reports are expected when a target comes back; they are not counted.
    if (outcomes[i] != AppendOutcome::kUnknownSeries) continue;
    if (stale && report_refs_[i] == 0) continue;
    const Labels labels = ReportLabels(i);
    AppendOptions options;
    options.discard_out_of_order = stale;
    const Result<SeriesRef> stored =
        appender.Append(report_refs_[i], labels, timestamp_ms, values[i], options);
    if (!stored.ok()) {
      const ErrorCode code = stored.status().code();
      if (code == ErrorCode::kOutOfOrderSample || code == ErrorCode::kDuplicateSample) continue;
      return stored.status();
    }
    const bool first = report_refs_[i] == 0;
    report_refs_[i] = *stored;
    if (first && settings_.features.metadata_to_storage) {
      const Status status =
          appender.UpdateMetadata(*stored, labels,
                                  {MetricType::kGauge, std::string(kReportSeries[i].unit),
                                   std::string(kReportSeries[i].help)});
      if (!status.ok()) {
        LOG_DEBUG("Error when appending metadata in addReportSample", {"target", settings_.name},
                  {"err", status.message()});
      }
    }
  }
  return {};
}

ScrapeOutcome TargetScraper::ScrapeAndReport(const ScrapedPage& page, int64_t timestamp_ms,
                                             storage::Appendable& store, ScrapeScratch* scratch,
                                             const std::function<double()>& duration_seconds) {
  std::unique_ptr<storage::Appender> appender = store.NewAppender();
  const auto start_over = [&] {
    const Status rolled_back = appender->Rollback();
    if (!rolled_back.ok()) {
      LOG_WARN("Rollback failed", {"target", settings_.name}, {"err", rolled_back.message()});
    }
    appender = store.NewAppender();
  };
  std::optional<ScopedSpan> span(std::in_place, "scrapeAppend");
  ScrapeOutcome outcome = ScrapeOnce(page.error.ok() ? page.body : std::string_view(),
                                     page.content_type, timestamp_ms, *appender, scratch);
  if (!outcome.error.ok()) (*span)->SetError(outcome.error.message());
  span.reset();
  if (!outcome.error.ok()) {
    LOG_DEBUG("Append failed", {"scrape_pool", settings_.config->job_name},
              {"target", settings_.name}, {"err", outcome.error.message()});
    start_over();
    if (const Status status = AppendStaleMarkers(timestamp_ms, *appender); !status.ok()) {
      start_over();
      LOG_WARN("Append failed", {"target", settings_.name}, {"err", status.message()});
    }
  }
  if (!page.error.ok()) outcome.error = page.error;
  const std::array<double, kReportSeriesMax> report = {
      outcome.error.ok() ? 1.0 : 0.0,
      duration_seconds(),
      static_cast<double>(outcome.scraped),
      static_cast<double>(outcome.post_relabel),
      static_cast<double>(outcome.series_added),
      static_cast<double>(settings_.timeout_nanos) / 1e9,
      static_cast<double>(settings_.config->sample_limit),
      static_cast<double>(page.body_bytes),
  };
  span.emplace("scrapeReport");
  if (const Status status = AppendReport(report, timestamp_ms, /*stale=*/false, *appender);
      !status.ok()) {
    (*span)->SetError(status.message());
    LOG_WARN("Appending scrape report failed", {"target", settings_.name},
             {"err", status.message()});
    start_over();
    return outcome;
  }
  span.emplace("scrapeCommit");
  if (const Status status = appender->Commit(); !status.ok()) {
    (*span)->SetError(status.message());
    LOG_ERROR("Scrape commit failed", {"target", settings_.name}, {"err", status.message()});
  }
  return outcome;
}

Status TargetScraper::WriteEndOfRunMarkers(int64_t timestamp_ms, storage::Appendable& store) {
  const std::unique_ptr<storage::Appender> appender = store.NewAppender();
  NARTHEX_RETURN_IF_ERROR(AppendStaleMarkers(timestamp_ms, *appender));
  std::array<double, kReportSeriesMax> values;
  values.fill(StaleNan());
  NARTHEX_RETURN_IF_ERROR(AppendReport(values, timestamp_ms, /*stale=*/true, *appender));
  return appender->Commit();
}

}  // namespace narthex::scrape
