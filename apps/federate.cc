#include "apps/federate.h"

#include <algorithm>
#include <charconv>

#include "narthex/client/exposition.h"
#include "util/hash_map.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "web/params.h"
#include "web/response_writer.h"
#include "web/router.h"

namespace narthex::apps {
namespace {

struct Sample {
  size_t labels_begin = 0;  // In the arena.
  uint32_t labels_size = 0;
  uint32_t histogram = 0;  // Index + 1; 0: a float.
  int64_t timestamp_ms = 0;
  double value = 0;
};

// What was selected: labels one after the other, samples beside them.
struct Selection {
  std::string arena;
  std::vector<Sample> samples;
  std::vector<std::shared_ptr<const FloatHistogram>> histograms;
  size_t warnings = 0;

  Labels::Iterator begin(const Sample& sample) const {
    const char* at = arena.data() + sample.labels_begin;
    return {at, at + sample.labels_size};
  }
  Labels::Iterator end(const Sample& sample) const {
    const char* end = arena.data() + sample.labels_begin + sample.labels_size;
    return {end, end};
  }
  std::string_view Name(const Sample& sample) const {
    for (auto at = begin(sample); at != end(sample); ++at) {
      if (at->name == kMetricNameLabel) return at->value;
    }
    return {};
  }
  std::string_view Encoded(const Sample& sample) const {
    return std::string_view(arena).substr(sample.labels_begin, sample.labels_size);
  }
  const FloatHistogram* Histogram(const Sample& sample) const {
    return sample.histogram == 0 ? nullptr : histograms[sample.histogram - 1].get();
  }
};

// In label order, for series of one name. Labels that both have alike, most of them, are passed
// over as bytes.
bool LabelsLess(const Selection& all, const Sample& a, const Sample& b) {
  auto left = all.begin(a);
  auto right = all.begin(b);
  for (; left != all.end(a) && right != all.end(b); ++left, ++right) {
    if (left->name != right->name) return left->name < right->name;
    if (left->value != right->value) return left->value < right->value;
  }
  return left == all.end(a) && right != all.end(b);
}

// By name, then by labels; a series that several selectors name stays once. Names are few: series
// are dealt out to them first, so that only neighbours need comparing.
void SortByName(Selection* all) {
  HashMap<std::string_view, size_t> slots;
  std::vector<std::pair<std::string_view, std::vector<Sample>>> by_name;
  for (const Sample& sample : all->samples) {
    const std::string_view name = all->Name(sample);
    const auto [slot, added] = slots.try_emplace(name, by_name.size());
    if (added) by_name.emplace_back(name, std::vector<Sample>());
    by_name[slot->second].second.push_back(sample);
  }
  std::sort(by_name.begin(), by_name.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  all->samples.clear();
  const auto less = [all](const Sample& a, const Sample& b) { return LabelsLess(*all, a, b); };
  const auto same = [all](const Sample& a, const Sample& b) {
    return all->Encoded(a) == all->Encoded(b);
  };
  for (auto& [name, samples] : by_name) {
    std::sort(samples.begin(), samples.end(), less);
    const auto end = std::unique(samples.begin(), samples.end(), same);
    all->samples.insert(all->samples.end(), samples.begin(), end);
  }
}

// The newest sample of each selected series that is not stale, by name, then in label order.
Result<Selection> Select(storage::Queryable& store, TimeRange range,
                         const std::vector<std::vector<Matcher>>& sets) {
  NARTHEX_TRY(const auto querier, store.OpenQuerier(range));
  storage::SelectHints hints;
  hints.start_ms = range.start_ms;
  hints.end_ms = range.end_ms;
  Selection all;
  storage::SampleColumns columns;
  for (const std::vector<Matcher>& matchers : sets) {
    NARTHEX_TRY(const auto set, querier->Select(storage::SeriesOrder::kAny, hints, matchers));
    while (const std::unique_ptr<storage::Series> series = set->Next()) {
      columns.Clear();
      NARTHEX_RETURN_IF_ERROR(series->Read(&columns));
      if (columns.empty()) continue;
      const size_t last = columns.size() - 1;
      const auto histogram = columns.histograms.empty() ? nullptr : columns.histograms[last];
      if (IsStaleNan(histogram ? histogram->sum : columns.values[last])) continue;
      const std::string& encoded = series->labels().encoded();
      Sample sample{all.arena.size(), static_cast<uint32_t>(encoded.size()), 0,
                    columns.timestamps_ms[last], columns.values[last]};
      if (histogram) {
        all.histograms.push_back(histogram);
        sample.histogram = static_cast<uint32_t>(all.histograms.size());
      }
      all.arena.append(encoded);
      all.samples.push_back(sample);
    }
    NARTHEX_RETURN_IF_ERROR(set->status());
    all.warnings += set->warnings().size();
  }
  SortByName(&all);
  return all;
}

// Labels that every series gets unless it has them: the external ones and an empty instance, which
// keeps the scraping server from putting its own there.
std::vector<std::pair<std::string, std::string>> AddedLabels(const Labels& external_labels) {
  std::vector<std::pair<std::string, std::string>> added;
  for (const LabelView& label : external_labels) added.emplace_back(label.name, label.value);
  if (!external_labels.Has(kInstanceLabel)) added.emplace_back(std::string(kInstanceLabel), "");
  std::sort(added.begin(), added.end());
  return added;
}

// ---- Text: written directly, since this is what servers ask for ----

class TextWriter {
 public:
  TextWriter(const Selection& all, const Labels& external_labels, client::EscapingScheme scheme)
      : all_(all), scheme_(scheme), added_(AddedLabels(external_labels)) {
    for (const auto& [name, value] : added_) {
      std::string text;
      AppendPair(name, value, &text);
      added_text_.push_back(std::move(text));
    }
  }

  void Write(const Sample& sample, std::string* out) {
    const std::string_view name = all_.Name(sample);
    if (name != family_) StartFamily(name, out);
    out->append(line_start_);
    bool first = !name_in_braces_;
    if (first) out->push_back('{');
    size_t next_added = 0;
    for (auto at = all_.begin(sample); at != all_.end(sample); ++at) {
      if (at->name == kMetricNameLabel) continue;
      if (!first) out->push_back(',');
      first = false;
      AppendPair(at->name, at->value, out);
    }
    for (; next_added < added_.size(); ++next_added) {
      if (HasLabel(sample, added_[next_added].first)) continue;
      if (!first) out->push_back(',');
      first = false;
      out->append(added_text_[next_added]);
    }
    out->append("} ");
    client::AppendFloat(sample.value, *out);
    out->push_back(' ');
    char digits[24];
    out->append(digits, std::to_chars(digits, digits + sizeof digits, sample.timestamp_ms).ptr);
    out->push_back('\n');
  }
  // After something else was written.
  void ForgetFamily() { family_.clear(); }

 private:
  bool HasLabel(const Sample& sample, std::string_view name) const {
    for (auto at = all_.begin(sample); at != all_.end(sample); ++at) {
      if (at->name == name) return true;
    }
    return false;
  }

  void StartFamily(std::string_view name, std::string* out) {
    family_ = name;
    const bool legacy = IsLegacyMetricName(name);
    name_in_braces_ = !legacy && scheme_ == client::EscapingScheme::kAllowUtf8;
    std::string shown(name);
    if (name_in_braces_) {
      shown = "\"";
      AppendEscaped(name, &shown);
      shown.push_back('"');
    } else if (!legacy) {
      shown = client::EscapeName(name, scheme_);
    }
    out->append("# TYPE ").append(shown).append(" untyped\n");
    line_start_ = name_in_braces_ ? "{" + shown : shown;
  }

  void AppendPair(std::string_view name, std::string_view value, std::string* out) const {
    if (IsLegacyLabelName(name)) {
      out->append(name);
    } else if (scheme_ == client::EscapingScheme::kAllowUtf8) {
      out->push_back('"');
      AppendEscaped(name, out);
      out->push_back('"');
    } else {
      out->append(client::EscapeName(name, scheme_));
    }
    out->append("=\"");
    AppendEscaped(value, out);
    out->push_back('"');
  }

  static void AppendEscaped(std::string_view text, std::string* out) {
    if (text.find_first_of("\\\n\"") == std::string_view::npos) {
      out->append(text);
      return;
    }
    for (const char c : text) {
      switch (c) {
        case '\\': out->append("\\\\"); break;
        case '\n': out->append("\\n"); break;
        case '"': out->append("\\\""); break;
        default: out->push_back(c);
      }
    }
  }

  const Selection& all_;
  const client::EscapingScheme scheme_;
  const std::vector<std::pair<std::string, std::string>> added_;
  std::vector<std::string> added_text_;
  std::string family_;
  std::string line_start_;
  bool name_in_braces_ = false;
};

// ---- Everything else: by way of families ----

std::vector<client::BucketSpan> ToSpans(const std::vector<Span>& from) {
  std::vector<client::BucketSpan> to;
  for (const Span& span : from) to.push_back({span.offset, span.length});
  return to;
}

std::shared_ptr<const client::HistogramValue> ToNative(const FloatHistogram& histogram) {
  auto value = std::make_shared<client::HistogramValue>();
  value->sample_count_float = histogram.count;
  value->sample_sum = histogram.sum;
  client::NativeBuckets native;
  native.schema = histogram.schema;
  native.zero_threshold = histogram.zero_threshold;
  native.zero_count_float = histogram.zero_count;
  native.positive_spans = ToSpans(histogram.positive_spans);
  native.negative_spans = ToSpans(histogram.negative_spans);
  native.positive_counts = histogram.positive_buckets;
  native.negative_counts = histogram.negative_buckets;
  value->native = std::move(native);
  return value;
}

// A histogram with custom bounds has the buckets of a classic one; the writers add +Inf.
std::shared_ptr<const client::HistogramValue> ToClassic(const FloatHistogram& histogram) {
  auto value = std::make_shared<client::HistogramValue>();
  value->sample_count_float = histogram.count;
  value->sample_sum = histogram.sum;
  const std::vector<double>& bounds = histogram.custom_values;
  std::vector<double> counts(bounds.size(), 0);
  size_t bucket = 0;
  int64_t index = 0;
  for (const Span& span : histogram.positive_spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length && bucket < histogram.positive_buckets.size(); ++i) {
      const double count = histogram.positive_buckets[bucket++];
      if (index >= 0 && static_cast<size_t>(index) < counts.size()) {
        counts[static_cast<size_t>(index)] = count;
      }
      ++index;
    }
  }
  double cumulative = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    cumulative += counts[i];
    client::Bucket entry;
    entry.upper_bound = bounds[i];
    entry.cumulative_count_float = cumulative;
    value->buckets.push_back(std::move(entry));
  }
  return value;
}

client::MetricType TypeOf(const FloatHistogram* histogram) {
  if (histogram == nullptr) return client::MetricType::kUntyped;
  return histogram->counter_reset_hint == CounterResetHint::kGauge
             ? client::MetricType::kGaugeHistogram
             : client::MetricType::kHistogram;
}

client::Metric ToMetric(const Selection& all, const Sample& sample,
                        const std::vector<std::pair<std::string, std::string>>& added) {
  client::Metric metric;
  client::Labels labels;
  for (auto at = all.begin(sample); at != all.end(sample); ++at) {
    if (at->name == kMetricNameLabel) continue;
    labels.push_back({std::string(at->name), std::string(at->value)});
  }
  const size_t own = labels.size();
  for (const auto& label : added) {
    const auto same = [&label](const auto& known) { return known.name == label.first; };
    const auto end = labels.begin() + static_cast<ptrdiff_t>(own);
    if (std::none_of(labels.begin(), end, same)) labels.push_back({label.first, label.second});
  }
  metric.labels = std::move(labels);
  metric.timestamp_ms = sample.timestamp_ms;
  const FloatHistogram* histogram = all.Histogram(sample);
  if (histogram == nullptr) {
    metric.value = client::UntypedValue{sample.value};
  } else {
    metric.value = histogram->uses_custom_buckets() ? ToClassic(*histogram) : ToNative(*histogram);
  }
  return metric;
}

// The page, part by part.
Status WritePage(const Selection& all, const Labels& external_labels, const client::Format& format,
                 web::ResponseWriter& writer) {
  // Larger families are cut, so that a page of one name does not stand in memory whole.
  constexpr size_t kFamilyMetricsMax = 10'000;
  const bool text = format.type == client::FormatType::kText;
  const auto added = AddedLabels(external_labels);
  TextWriter lines(all, external_labels, format.escaping);
  client::MetricFamily family;
  const auto finish_family = [&]() -> Status {
    if (family.metrics.empty()) return {};
    const client::Status encoded = client::Encode(family, format, writer.buffer());
    family.metrics.clear();
    if (!encoded.ok()) return Status(ErrorCode::kInternal, std::string(encoded.message()));
    return writer.Flush();
  };
  for (const Sample& sample : all.samples) {
    const FloatHistogram* histogram = all.Histogram(sample);
    // Only protobuf carries native histograms.
    if (text && histogram != nullptr && !histogram->uses_custom_buckets()) continue;
    const std::string_view name = all.Name(sample);
    if (name.empty()) continue;
    if (text && histogram == nullptr) {
      NARTHEX_RETURN_IF_ERROR(finish_family());
      lines.Write(sample, &writer.buffer());
      NARTHEX_RETURN_IF_ERROR(writer.Flush());
      continue;
    }
    lines.ForgetFamily();
    const client::MetricType type = TypeOf(histogram);
    if (family.name != name || family.type != type || family.metrics.size() >= kFamilyMetricsMax) {
      NARTHEX_RETURN_IF_ERROR(finish_family());
      family.name = name;
      family.type = type;
    }
    family.metrics.push_back(ToMetric(all, sample, added));
  }
  NARTHEX_RETURN_IF_ERROR(finish_family());
  client::Finish(format, writer.buffer());
  return {};
}

}  // namespace

void Federate(const std::shared_ptr<net::HttpExchange>& exchange, storage::Queryable& store,
              const FederateOptions& options, Clock& clock) {
  const net::HttpRequest& request = exchange->request();
  const Result<net::FormValues> form = web::ParseForm(request);
  if (!form.ok()) {
    web::RespondPlain(*exchange, 400, form.status().message());
    return;
  }
  std::vector<std::vector<Matcher>> sets;
  for (const std::string& selector : form->GetAll("match[]")) {
    Result<std::vector<Matcher>> matchers = promql::ParseMetricSelector(selector, options.parser);
    if (!matchers.ok()) {
      web::RespondPlain(*exchange, 400, matchers.status().message());
      return;
    }
    sets.push_back(*std::move(matchers));
  }
  const int64_t now_ms = clock.NowMillis();
  Result<Selection> all = Select(store, {now_ms - options.lookback_ms, now_ms}, sets);
  if (!all.ok()) {
    if (options.on_error) options.on_error();
    web::RespondPlain(*exchange, 500, all.status().message());
    return;
  }
  if (all->warnings > 0 && options.on_warnings) options.on_warnings(all->warnings);
  const client::Format format = client::Negotiate(request.headers.Get("Accept"));
  net::HttpResponse response;
  response.headers.Add("Vary", "Accept-Encoding");
  response.headers.Add("Content-Type", format.ContentType());
  web::ResponseWriter writer(exchange, std::move(response),
                             web::ChooseContentCoding(request.headers.Get("Accept-Encoding")));
  const Status written = WritePage(*all, options.external_labels, format, writer);
  if (!written.ok() && written.code() != ErrorCode::kCanceled && options.on_error) {
    options.on_error();
  }
  // A page that broke off is not finished, so that the client sees it.
  if (written.ok()) writer.Finish();
}

}  // namespace narthex::apps
