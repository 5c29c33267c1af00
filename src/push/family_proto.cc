#include "push/family_proto.h"

#include <exception>
#include <memory>
#include <protozero/pbf_reader.hpp>
#include <unordered_map>
#include <utility>

#include "narthex/client/exposition.h"

namespace narthex::push {
namespace {

using client::Metric;
using protozero::pbf_reader;

// Each function reads one message. protozero throws on what is no protobuf; DecodeFamily() catches.

std::string Text(pbf_reader& reader) {
  const protozero::data_view view = reader.get_view();
  return std::string(view.data(), view.size());
}

client::Timestamp ReadTimestamp(pbf_reader reader) {
  client::Timestamp time;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: time.seconds = reader.get_int64(); break;
      case 2: time.nanos = reader.get_int32(); break;
      default: reader.skip();
    }
  }
  return time;
}

client::LabelPair ReadLabel(pbf_reader reader) {
  client::LabelPair label;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: label.name = Text(reader); break;
      case 2: label.value = Text(reader); break;
      default: reader.skip();
    }
  }
  return label;
}

client::ExemplarPtr ReadExemplar(pbf_reader reader) {
  auto exemplar = std::make_shared<client::Exemplar>();
  client::Labels labels;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: labels.push_back(ReadLabel(reader.get_message())); break;
      case 2: exemplar->value = reader.get_double(); break;
      case 3: exemplar->timestamp = ReadTimestamp(reader.get_message()); break;
      default: reader.skip();
    }
  }
  exemplar->labels = std::move(labels);
  return exemplar;
}

client::CounterValue ReadCounter(pbf_reader reader) {
  client::CounterValue counter;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: counter.value = reader.get_double(); break;
      case 2: counter.exemplar = ReadExemplar(reader.get_message()); break;
      case 3: counter.created = ReadTimestamp(reader.get_message()); break;
      default: reader.skip();
    }
  }
  return counter;
}

// Gauge and untyped: the value alone.
double ReadValue(pbf_reader reader) {
  double value = 0;
  while (reader.next()) {
    if (reader.tag() == 1) {
      value = reader.get_double();
    } else {
      reader.skip();
    }
  }
  return value;
}

client::Quantile ReadQuantile(pbf_reader reader) {
  client::Quantile quantile;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: quantile.quantile = reader.get_double(); break;
      case 2: quantile.value = reader.get_double(); break;
      default: reader.skip();
    }
  }
  return quantile;
}

std::shared_ptr<const client::SummaryValue> ReadSummary(pbf_reader reader) {
  auto summary = std::make_shared<client::SummaryValue>();
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: summary->sample_count = reader.get_uint64(); break;
      case 2: summary->sample_sum = reader.get_double(); break;
      case 3: summary->quantiles.push_back(ReadQuantile(reader.get_message())); break;
      case 4: summary->created = ReadTimestamp(reader.get_message()); break;
      default: reader.skip();
    }
  }
  return summary;
}

client::Bucket ReadBucket(pbf_reader reader) {
  client::Bucket bucket;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: bucket.cumulative_count = reader.get_uint64(); break;
      case 2: bucket.upper_bound = reader.get_double(); break;
      case 3: bucket.exemplar = ReadExemplar(reader.get_message()); break;
      case 4: bucket.cumulative_count_float = reader.get_double(); break;
      default: reader.skip();
    }
  }
  return bucket;
}

client::BucketSpan ReadSpan(pbf_reader reader) {
  client::BucketSpan span;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: span.offset = reader.get_sint32(); break;
      case 2: span.length = reader.get_uint32(); break;
      default: reader.skip();
    }
  }
  return span;
}

// Repeated numbers come packed or one by one.
void ReadDeltas(pbf_reader& reader, std::vector<int64_t>* deltas) {
  if (reader.wire_type() == protozero::pbf_wire_type::length_delimited) {
    for (const int64_t delta : reader.get_packed_sint64()) deltas->push_back(delta);
  } else {
    deltas->push_back(reader.get_sint64());
  }
}

void ReadCounts(pbf_reader& reader, std::vector<double>* counts) {
  if (reader.wire_type() == protozero::pbf_wire_type::length_delimited) {
    for (const double count : reader.get_packed_double()) counts->push_back(count);
  } else {
    counts->push_back(reader.get_double());
  }
}

std::shared_ptr<const client::HistogramValue> ReadHistogram(pbf_reader reader) {
  auto histogram = std::make_shared<client::HistogramValue>();
  client::NativeBuckets native;
  bool has_native = false;
  while (reader.next()) {
    const auto tag = reader.tag();
    has_native = has_native || (tag >= 5 && tag <= 14) || tag == 16;
    switch (tag) {
      case 1: histogram->sample_count = reader.get_uint64(); break;
      case 2: histogram->sample_sum = reader.get_double(); break;
      case 3: histogram->buckets.push_back(ReadBucket(reader.get_message())); break;
      case 4: histogram->sample_count_float = reader.get_double(); break;
      case 5: native.schema = reader.get_sint32(); break;
      case 6: native.zero_threshold = reader.get_double(); break;
      case 7: native.zero_count = reader.get_uint64(); break;
      case 8: native.zero_count_float = reader.get_double(); break;
      case 9: native.negative_spans.push_back(ReadSpan(reader.get_message())); break;
      case 10: ReadDeltas(reader, &native.negative_deltas); break;
      case 11: ReadCounts(reader, &native.negative_counts); break;
      case 12: native.positive_spans.push_back(ReadSpan(reader.get_message())); break;
      case 13: ReadDeltas(reader, &native.positive_deltas); break;
      case 14: ReadCounts(reader, &native.positive_counts); break;
      case 15: histogram->created = ReadTimestamp(reader.get_message()); break;
      case 16: native.exemplars.push_back(ReadExemplar(reader.get_message())); break;
      default: reader.skip();
    }
  }
  if (has_native) histogram->native = std::move(native);
  return histogram;
}

Metric ReadMetric(pbf_reader reader) {
  Metric metric;
  client::Labels labels;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: labels.push_back(ReadLabel(reader.get_message())); break;
      case 2: metric.value = client::GaugeValue{ReadValue(reader.get_message())}; break;
      case 3: metric.value = ReadCounter(reader.get_message()); break;
      case 4: metric.value = ReadSummary(reader.get_message()); break;
      case 5: metric.value = client::UntypedValue{ReadValue(reader.get_message())}; break;
      case 6: metric.timestamp_ms = reader.get_int64(); break;
      case 7: metric.value = ReadHistogram(reader.get_message()); break;
      default: reader.skip();
    }
  }
  metric.labels = std::move(labels);
  return metric;
}

client::MetricFamily ReadFamily(pbf_reader reader) {
  client::MetricFamily family;
  // What the enumeration has first is what a message without a type means.
  family.type = client::MetricType::kCounter;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: family.name = Text(reader); break;
      case 2: family.help = Text(reader); break;
      case 3: {
        const int32_t type = reader.get_enum();
        if (type >= 0 && type <= static_cast<int32_t>(client::MetricType::kGaugeHistogram)) {
          family.type = static_cast<client::MetricType>(type);
        }
        break;
      }
      case 4: family.metrics.push_back(ReadMetric(reader.get_message())); break;
      case 5: family.unit = Text(reader); break;
      default: reader.skip();
    }
  }
  return family;
}

Status WireError(const std::exception& error) {
  return MakeError(ErrorCode::kInvalidInput, "proto: cannot parse invalid wire-format data: {}",
                   error.what());
}

}  // namespace

Result<client::MetricFamily> DecodeFamily(std::string_view message) {
  try {
    return ReadFamily(pbf_reader(message.data(), message.size()));
  } catch (const std::exception& error) {
    return WireError(error);
  }
}

Result<std::vector<client::MetricFamily>> DecodeFamilies(std::string_view delimited) {
  std::vector<client::MetricFamily> families;
  std::unordered_map<std::string, size_t> places;
  const char* at = delimited.data();
  const char* const end = at + delimited.size();
  while (at < end) {
    uint64_t size = 0;
    try {
      size = protozero::decode_varint(&at, end);
    } catch (const std::exception&) {
      return MakeError(ErrorCode::kInvalidInput, "unexpected EOF");
    }
    if (size > static_cast<size_t>(end - at)) {
      return MakeError(ErrorCode::kInvalidInput, "unexpected EOF");
    }
    NARTHEX_TRY(client::MetricFamily family, DecodeFamily({at, static_cast<size_t>(size)}));
    at += size;
    const auto [place, added] = places.try_emplace(family.name, families.size());
    if (added) {
      families.push_back(std::move(family));
    } else {
      families[place->second] = std::move(family);
    }
  }
  return families;
}

std::string EncodeFamily(const client::MetricFamily& family) {
  std::string delimited;
  client::WriteProtobufDelimited(family, delimited);
  const char* at = delimited.data();
  protozero::skip_varint(&at, at + delimited.size());
  delimited.erase(0, static_cast<size_t>(at - delimited.data()));
  return delimited;
}

}  // namespace narthex::push
