#include "narthex/client/testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "narthex/client/exposition.h"
#include "narthex/client/text_reader.h"
#include "narthex/client/textfile.h"

namespace narthex::client {
namespace {

// Takes the label off `labels` and reads it as a number.
std::optional<double> TakeNumber(Labels& labels, std::string_view name) {
  const auto it = std::find_if(labels.begin(), labels.end(),
                               [name](const LabelPair& label) { return label.name == name; });
  if (it == labels.end()) return std::nullopt;
  const std::string text = it->value;
  labels.erase(it);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() + text.size() && !text.empty() ? std::optional(value) : std::nullopt;
}

bool SameLabels(const LabelSet& a, const Labels& sorted) {
  Labels own(a.begin(), a.end());
  std::sort(own.begin(), own.end());
  return own == sorted;
}

// The value of the sample `suffix` of one metric; `number`: of its `le` or `quantile`.
std::optional<double> ValueOf(const Metric& metric, std::string_view suffix,
                              std::optional<double> number) {
  if (const auto* s = std::get_if<std::shared_ptr<const SummaryValue>>(&metric.value)) {
    if (suffix == "_sum") return (*s)->sample_sum;
    if (suffix == "_count") return static_cast<double>((*s)->sample_count);
    for (const Quantile& q : (*s)->quantiles) {
      if (suffix.empty() && q.quantile == number) return q.value;
    }
    return std::nullopt;
  }
  if (const auto* h = std::get_if<std::shared_ptr<const HistogramValue>>(&metric.value)) {
    const auto count = [](double as_float, uint64_t as_integer) {
      return as_float > 0 ? as_float : static_cast<double>(as_integer);
    };
    if (suffix == "_sum") return (*h)->sample_sum;
    const double all = count((*h)->sample_count_float, (*h)->sample_count);
    if (suffix == "_count") return all;
    if (suffix != "_bucket" || !number) return std::nullopt;
    for (const Bucket& bucket : (*h)->buckets) {
      if (bucket.upper_bound == *number) {
        return count(bucket.cumulative_count_float, bucket.cumulative_count);
      }
    }
    return *number == std::numeric_limits<double>::infinity() ? std::optional(all) : std::nullopt;
  }
  if (!suffix.empty()) return std::nullopt;
  if (const auto* counter = std::get_if<CounterValue>(&metric.value)) return counter->value;
  if (const auto* gauge = std::get_if<GaugeValue>(&metric.value)) return gauge->value;
  if (const auto* untyped = std::get_if<UntypedValue>(&metric.value)) return untyped->value;
  return std::nullopt;
}

std::string Normalised(std::vector<MetricFamily> families, const std::vector<std::string>& names) {
  std::string page;
  std::sort(families.begin(), families.end(),
            [](const MetricFamily& a, const MetricFamily& b) { return a.name < b.name; });
  for (const MetricFamily& family : families) {
    if (!names.empty() && std::find(names.begin(), names.end(), family.name) == names.end()) {
      continue;
    }
    if (Status status = WriteText(family, page); !status.ok()) page += status.message() + '\n';
  }
  return page;
}

}  // namespace

std::optional<double> SampleValue(const Gatherable& source, std::string_view name, Labels labels) {
  std::sort(labels.begin(), labels.end());
  for (const MetricFamily& family : source.Gather().families) {
    if (name.substr(0, family.name.size()) != family.name) continue;
    const std::string_view suffix = name.substr(family.name.size());
    Labels wanted = labels;
    std::optional<double> number;
    if (suffix == "_bucket") number = TakeNumber(wanted, "le");
    if (suffix.empty() && family.type == MetricType::kSummary) {
      number = TakeNumber(wanted, "quantile");
    }
    for (const Metric& metric : family.metrics) {
      if (!SameLabels(metric.labels, wanted)) continue;
      if (const std::optional<double> value = ValueOf(metric, suffix, number)) return value;
    }
  }
  return std::nullopt;
}

size_t SeriesCount(const Gatherable& source, std::string_view name) {
  size_t count = 0;
  for (const MetricFamily& family : source.Gather().families) {
    if (name.empty() || family.name == name) count += family.metrics.size();
  }
  return count;
}

std::string PageDifference(const Gatherable& source, std::string_view expected,
                           const std::vector<std::string>& names) {
  Result<std::vector<MetricFamily>> wanted = ReadText(expected);
  if (!wanted.ok()) return wanted.status().message();
  GatherResult gathered = source.Gather();
  if (!gathered.errors.empty()) return gathered.errors.front();
  // Through the reader too, which orders what may come in any order.
  Result<std::vector<MetricFamily>> got = ReadText(Normalised(std::move(gathered.families), names));
  if (!got.ok()) return got.status().message();
  for (std::vector<MetricFamily>* families : {&*wanted, &*got}) {
    for (MetricFamily& family : *families) {
      std::stable_sort(family.metrics.begin(), family.metrics.end(),
                       [](const Metric& a, const Metric& b) {
                         return std::lexicographical_compare(a.labels.begin(), a.labels.end(),
                                                             b.labels.begin(), b.labels.end());
                       });
    }
  }
  const std::string got_page = Normalised(*std::move(got), {});
  const std::string wanted_page = Normalised(*std::move(wanted), names);
  if (got_page == wanted_page) return {};
  return "got:\n" + got_page + "want:\n" + wanted_page;
}

Status WriteTextfile(const Gatherable& source, const std::string& path) {
  const EncodedPage page = EncodePage(source, Format{FormatType::kText});
  for (const auto* errors : {&page.gathering_errors, &page.encoding_errors}) {
    if (!errors->empty()) return {StatusCode::kInconsistent, errors->front()};
  }
  const auto failed = [&path](const char* what) {
    return Status(StatusCode::kIo, std::string(what) + " " + path + ": " + std::strerror(errno));
  };
  std::string temporary = path + ".XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return failed("create");
  Status status;
  for (size_t written = 0; status.ok() && written < page.body.size();) {
    const ssize_t count = write(fd, page.body.data() + written, page.body.size() - written);
    if (count < 0 && errno != EINTR) status = failed("write");
    if (count > 0) written += static_cast<size_t>(count);
  }
  // mkostemp lets the owner alone read it; the exporter is usually someone else.
  if (status.ok() && fchmod(fd, 0644) != 0) status = failed("chmod");
  if (close(fd) != 0 && status.ok()) status = failed("close");
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) status = failed("rename");
  if (!status.ok()) std::remove(temporary.c_str());
  return status;
}

}  // namespace narthex::client
