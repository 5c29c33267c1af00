#include "exposition/client_proto.h"

#include <bit>
#include <cstring>
#include <utility>

#include "util/bytes.h"
#include "util/strings.h"

namespace narthex::exposition::proto {
namespace {

enum class Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kEndGroup = 4, kFixed32 = 5 };

Status UnexpectedEof() {
  return MakeError(ErrorCode::kInvalidInput, "unexpected EOF");
}

// Walks the fields of one message.
class FieldReader {
 public:
  FieldReader(std::string_view message, std::string_view message_name)
      : p_(message.data()), end_(message.data() + message.size()), message_name_(message_name) {}

  bool AtEnd() const { return p_ == end_; }

  Status Next() {
    uint64_t tag = 0;
    NARTHEX_RETURN_IF_ERROR(Varint(&tag));
    number_ = static_cast<int32_t>(tag >> 3);
    wire_ = static_cast<Wire>(tag & 7);
    if (wire_ == Wire::kEndGroup) {
      return MakeError(ErrorCode::kInvalidInput, "proto: {}: wiretype end group for non-group",
                       message_name_);
    }
    if (number_ <= 0) {
      return MakeError(ErrorCode::kInvalidInput, "proto: {}: illegal tag {} (wire type {})",
                       message_name_, number_, tag);
    }
    return {};
  }

  int32_t number() const { return number_; }

  Status Varint(uint64_t* value) {
    if (p_ != end_ && static_cast<uint8_t>(*p_) < 0x80) {
      *value = static_cast<uint8_t>(*p_++);
      return {};
    }
    return LongVarint(value);
  }

  Status Bytes(std::string_view* bytes) {
    uint64_t size = 0;
    NARTHEX_RETURN_IF_ERROR(Varint(&size));
    if (static_cast<int64_t>(size) < 0) {
      return MakeError(ErrorCode::kInvalidInput,
                       "proto: negative length found during unmarshaling");
    }
    if (size > remaining()) return UnexpectedEof();
    *bytes = {p_, size};
    p_ += size;
    return {};
  }

  Status Fixed64(double* value) {
    if (remaining() < sizeof *value) return UnexpectedEof();
    std::memcpy(value, p_, sizeof *value);
    p_ += sizeof *value;
    return {};
  }

  Status Skip() {
    switch (wire_) {
      case Wire::kVarint: {
        uint64_t value = 0;
        return Varint(&value);
      }
      case Wire::kFixed64: {
        double value = 0;
        return Fixed64(&value);
      }
      case Wire::kBytes: {
        std::string_view value;
        return Bytes(&value);
      }
      case Wire::kFixed32:
        if (remaining() < 4) return UnexpectedEof();
        p_ += 4;
        return {};
      default:
        return MakeError(ErrorCode::kInvalidInput, "proto: illegal wireType {}",
                         static_cast<int>(wire_));
    }
  }

  // Typed fields: the wire type must fit.
  Status Read(std::string_view field, std::string_view* value) {
    NARTHEX_RETURN_IF_ERROR(Expect(Wire::kBytes, field));
    return Bytes(value);
  }
  Status Read(std::string_view field, double* value) {
    NARTHEX_RETURN_IF_ERROR(Expect(Wire::kFixed64, field));
    return Fixed64(value);
  }
  Status Read(std::string_view field, uint64_t* value) {
    NARTHEX_RETURN_IF_ERROR(Expect(Wire::kVarint, field));
    return Varint(value);
  }
  Status ReadZigZag(std::string_view field, int64_t* value) {
    uint64_t raw = 0;
    NARTHEX_RETURN_IF_ERROR(Read(field, &raw));
    *value = ZigZagDecode(raw);
    return {};
  }
  // Repeated scalars come packed or one by one.
  Status AppendDeltas(std::string_view field, std::vector<int64_t>* list) {
    if (wire_ != Wire::kBytes) {
      int64_t value = 0;
      NARTHEX_RETURN_IF_ERROR(ReadZigZag(field, &value));
      list->push_back(value);
      return {};
    }
    std::string_view packed;
    NARTHEX_RETURN_IF_ERROR(Bytes(&packed));
    FieldReader values(packed, message_name_);
    uint64_t raw = 0;
    while (!values.AtEnd()) {
      NARTHEX_RETURN_IF_ERROR(values.Varint(&raw));
      list->push_back(ZigZagDecode(raw));
    }
    return {};
  }
  Status AppendCounts(std::string_view field, std::vector<double>* list) {
    if (wire_ != Wire::kBytes) {
      double value = 0;
      NARTHEX_RETURN_IF_ERROR(Read(field, &value));
      list->push_back(value);
      return {};
    }
    std::string_view packed;
    NARTHEX_RETURN_IF_ERROR(Bytes(&packed));
    FieldReader values(packed, message_name_);
    double value = 0;
    while (!values.AtEnd()) {
      NARTHEX_RETURN_IF_ERROR(values.Fixed64(&value));
      list->push_back(value);
    }
    return {};
  }

 private:
  Status Expect(Wire wire, std::string_view field) const {
    if (wire_ == wire) return {};
    return MakeError(ErrorCode::kInvalidInput, "proto: wrong wireType = {} for field {}",
                     static_cast<int>(wire_), field);
  }

  size_t remaining() const { return static_cast<size_t>(end_ - p_); }

  Status LongVarint(uint64_t* value) {
    // Ten bytes at most; what exceeds 64 bits is cut like upstream cuts it.
    uint64_t bits = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (shift >= 64) return MakeError(ErrorCode::kInvalidInput, "proto: integer overflow");
      if (p_ == end_) return UnexpectedEof();
      const auto byte = static_cast<uint8_t>(*p_++);
      bits |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) break;
    }
    *value = bits;
    return {};
  }

  const char* p_;
  const char* end_;
  std::string_view message_name_;
  int32_t number_ = 0;
  Wire wire_ = Wire::kVarint;
};

// Reads every field: `body` gets the reader with the field's number set and says whether it took
// the field.
template <typename Body>
Status ReadMessage(std::string_view bytes, std::string_view name, Body&& body) {
  FieldReader reader(bytes, name);
  while (!reader.AtEnd()) {
    NARTHEX_RETURN_IF_ERROR(reader.Next());
    Status status;
    if (!body(reader, &status)) status = reader.Skip();
    NARTHEX_RETURN_IF_ERROR(std::move(status));
  }
  return {};
}

// google.protobuf.Timestamp in milliseconds.
Status ReadTimestamp(FieldReader& parent, std::string_view field, std::optional<int64_t>* out) {
  std::string_view bytes;
  NARTHEX_RETURN_IF_ERROR(parent.Read(field, &bytes));
  uint64_t seconds = 0;
  uint64_t nanos = 0;
  NARTHEX_RETURN_IF_ERROR(ReadMessage(bytes, "Timestamp", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.Read("Seconds", &seconds); return true;
      case 2: *status = r.Read("Nanos", &nanos); return true;
      default: return false;
    }
  }));
  constexpr int64_t kNanosPerMilli = 1'000'000;
  // Unsigned arithmetic: seconds out of any range wrap as they do upstream.
  *out = static_cast<int64_t>(
      seconds * 1000 +
      static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(nanos)) / kNanosPerMilli));
  return {};
}

Status ReadExemplar(FieldReader& parent, std::string_view field, Exemplar* exemplar) {
  std::string_view bytes;
  NARTHEX_RETURN_IF_ERROR(parent.Read(field, &bytes));
  return ReadMessage(bytes, "Exemplar", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: {
        std::string_view label;
        *status = r.Read("Label", &label);
        if (!status->ok()) return true;
        LabelPair& pair = exemplar->labels.emplace_back();
        *status = ReadMessage(label, "LabelPair", [&](FieldReader& l, Status* inner) {
          switch (l.number()) {
            case 1: *inner = l.Read("Name", &pair.name); return true;
            case 2: *inner = l.Read("Value", &pair.value); return true;
            default: return false;
          }
        });
        return true;
      }
      case 2: *status = r.Read("Value", &exemplar->value); return true;
      case 3: *status = ReadTimestamp(r, "Timestamp", &exemplar->timestamp_ms); return true;
      default: return false;
    }
  });
}

Status ReadBucket(std::string_view bytes, Bucket* bucket) {
  return ReadMessage(bytes, "Bucket", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.Read("CumulativeCount", &bucket->cumulative_count); return true;
      case 2: *status = r.Read("UpperBound", &bucket->upper_bound); return true;
      case 3: *status = ReadExemplar(r, "Exemplar", &bucket->exemplar.emplace()); return true;
      case 4:
        *status = r.Read("CumulativeCountFloat", &bucket->cumulative_count_float);
        return true;
      default: return false;
    }
  });
}

Status ReadSpan(FieldReader& parent, std::string_view field, std::vector<Span>* spans) {
  std::string_view bytes;
  NARTHEX_RETURN_IF_ERROR(parent.Read(field, &bytes));
  int64_t offset = 0;
  uint64_t length = 0;
  NARTHEX_RETURN_IF_ERROR(ReadMessage(bytes, "BucketSpan", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.ReadZigZag("Offset", &offset); return true;
      case 2: *status = r.Read("Length", &length); return true;
      default: return false;
    }
  }));
  spans->push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
  return {};
}

Status ReadHistogram(std::string_view bytes, Metric* metric) {
  return ReadMessage(bytes, "Histogram", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.Read("SampleCount", &metric->sample_count); return true;
      case 2: *status = r.Read("SampleSum", &metric->sample_sum); return true;
      case 3: {
        std::string_view bucket;
        *status = r.Read("Bucket", &bucket);
        if (status->ok()) *status = ReadBucket(bucket, &metric->buckets.emplace_back());
        return true;
      }
      case 4: *status = r.Read("SampleCountFloat", &metric->sample_count_float); return true;
      case 5: {
        int64_t schema = 0;
        *status = r.ReadZigZag("Schema", &schema);
        metric->schema = static_cast<int32_t>(schema);
        return true;
      }
      case 6: *status = r.Read("ZeroThreshold", &metric->zero_threshold); return true;
      case 7: *status = r.Read("ZeroCount", &metric->zero_count); return true;
      case 8: *status = r.Read("ZeroCountFloat", &metric->zero_count_float); return true;
      case 9: *status = ReadSpan(r, "NegativeSpan", &metric->negative_spans); return true;
      case 10: *status = r.AppendDeltas("NegativeDelta", &metric->negative_deltas); return true;
      case 11: *status = r.AppendCounts("NegativeCount", &metric->negative_counts); return true;
      case 12: *status = ReadSpan(r, "PositiveSpan", &metric->positive_spans); return true;
      case 13: *status = r.AppendDeltas("PositiveDelta", &metric->positive_deltas); return true;
      case 14: *status = r.AppendCounts("PositiveCount", &metric->positive_counts); return true;
      case 15: *status = ReadTimestamp(r, "StartTimestamp", &metric->start_ms); return true;
      case 16:
        *status = ReadExemplar(r, "Exemplars", &metric->exemplars.emplace_back());
        return true;
      default: return false;
    }
  });
}

Status ReadSummary(std::string_view bytes, Metric* metric) {
  return ReadMessage(bytes, "Summary", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.Read("SampleCount", &metric->sample_count); return true;
      case 2: *status = r.Read("SampleSum", &metric->sample_sum); return true;
      case 3: {
        std::string_view quantile;
        *status = r.Read("Quantile", &quantile);
        if (!status->ok()) return true;
        Quantile& q = metric->quantiles.emplace_back();
        *status = ReadMessage(quantile, "Quantile", [&](FieldReader& f, Status* inner) {
          switch (f.number()) {
            case 1: *inner = f.Read("Quantile", &q.quantile); return true;
            case 2: *inner = f.Read("Value", &q.value); return true;
            default: return false;
          }
        });
        return true;
      }
      case 4: *status = ReadTimestamp(r, "StartTimestamp", &metric->start_ms); return true;
      default: return false;
    }
  });
}

// Counter, gauge and untyped alike; the latter two have a value only.
Status ReadSimple(std::string_view bytes, std::string_view name, bool counter, Metric* metric) {
  return ReadMessage(bytes, name, [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.Read("Value", &metric->value); return true;
      case 2:
        if (!counter) return false;
        *status = ReadExemplar(r, "Exemplar", &metric->exemplar.emplace());
        return true;
      case 3:
        if (!counter) return false;
        *status = ReadTimestamp(r, "StartTimestamp", &metric->start_ms);
        return true;
      default: return false;
    }
  });
}

// Part messages of kinds that the family is not of are skipped: one metric has one value.
bool IsPartOf(int32_t field, MetricType type) {
  switch (type) {
    case MetricType::kGauge: return field == 2;
    case MetricType::kCounter: return field == 3;
    case MetricType::kSummary: return field == 4;
    case MetricType::kUntyped: return field == 5;
    default: return field == 7;
  }
}

// As new, but for the vectors' memory, which is what is worth keeping.
void Clear(Metric* metric) {
  metric->encoded_labels.clear();
  metric->timestamp_ms = 0;
  metric->value = 0;
  metric->start_ms.reset();
  metric->exemplar.reset();
  metric->sample_count = 0;
  metric->sample_count_float = 0;
  metric->sample_sum = 0;
  metric->quantiles.clear();
  metric->buckets.clear();
  metric->schema = 0;
  metric->zero_threshold = 0;
  metric->zero_count = 0;
  metric->zero_count_float = 0;
  metric->negative_spans.clear();
  metric->negative_deltas.clear();
  metric->negative_counts.clear();
  metric->positive_spans.clear();
  metric->positive_deltas.clear();
  metric->positive_counts.clear();
  metric->exemplars.clear();
}

}  // namespace

Status TakeFamily(std::string_view* rest, Family* family) {
  constexpr size_t kLengthBytesMax = 5;
  ByteReader reader(*rest);
  const uint64_t size = reader.Uvarint();
  const size_t prefix = rest->size() - reader.remaining();
  if (reader.failed() || prefix > kLengthBytesMax) {
    return MakeError(ErrorCode::kInvalidInput, "clientpb: invalid varint encountered");
  }
  if (size > reader.remaining()) {
    return MakeError(ErrorCode::kInvalidInput,
                     "clientpb: insufficient length of buffer, expected at least {} bytes, got {} "
                     "bytes",
                     prefix + size, rest->size());
  }
  const std::string_view bytes = reader.Bytes(size);
  *rest = reader.rest();
  std::vector<std::string_view> metrics = std::move(family->encoded_metrics);
  metrics.clear();
  *family = Family();
  family->encoded_metrics = std::move(metrics);
  return ReadMessage(bytes, "MetricFamily", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1: *status = r.Read("Name", &family->name); return true;
      case 2: *status = r.Read("Help", &family->help); return true;
      case 3: {
        uint64_t type = 0;
        *status = r.Read("Type", &type);
        family->type = static_cast<MetricType>(type);
        return true;
      }
      case 4: *status = r.Read("Metric", &family->encoded_metrics.emplace_back()); return true;
      case 5: *status = r.Read("Unit", &family->unit); return true;
      default: return false;
    }
  });
}

Status DecodeMetric(std::string_view bytes, MetricType type, Metric* metric) {
  Clear(metric);
  return ReadMessage(bytes, "Metric", [&](FieldReader& r, Status* status) {
    std::string_view part;
    switch (r.number()) {
      case 1: *status = r.Read("Label", &metric->encoded_labels.emplace_back()); return true;
      case 6: {
        uint64_t timestamp = 0;
        *status = r.Read("TimestampMs", &timestamp);
        metric->timestamp_ms = static_cast<int64_t>(timestamp);
        return true;
      }
      case 2: *status = r.Read("Gauge", &part); break;
      case 3: *status = r.Read("Counter", &part); break;
      case 4: *status = r.Read("Summary", &part); break;
      case 5: *status = r.Read("Untyped", &part); break;
      case 7: *status = r.Read("Histogram", &part); break;
      default: return false;
    }
    if (!status->ok() || !IsPartOf(r.number(), type)) return true;
    switch (r.number()) {
      case 2: *status = ReadSimple(part, "Gauge", /*counter=*/false, metric); break;
      case 3: *status = ReadSimple(part, "Counter", /*counter=*/true, metric); break;
      case 4: *status = ReadSummary(part, metric); break;
      case 5: *status = ReadSimple(part, "Untyped", /*counter=*/false, metric); break;
      default: *status = ReadHistogram(part, metric); break;
    }
    return true;
  });
}

Status DecodeLabel(std::string_view bytes, LabelPair* label) {
  *label = {};
  return ReadMessage(bytes, "LabelPair", [&](FieldReader& r, Status* status) {
    switch (r.number()) {
      case 1:
        *status = r.Read("Name", &label->name);
        if (status->ok() && (label->name.empty() || !IsValidUtf8(label->name))) {
          *status = MakeError(ErrorCode::kInvalidInput, "invalid label name: {}", label->name);
        }
        return true;
      case 2:
        *status = r.Read("Value", &label->value);
        if (status->ok() && !IsValidUtf8(label->value)) {
          *status = MakeError(ErrorCode::kInvalidInput, "invalid label value: {}", label->value);
        }
        return true;
      default: return false;
    }
  });
}

}  // namespace narthex::exposition::proto
