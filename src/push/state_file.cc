#include "push/state_file.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>
#include <vector>

#include "push/family_proto.h"
#include "util/bytes.h"

namespace narthex::push {
namespace {

// Go's time.Time in binary: version, seconds since year 1, nanoseconds, zone in minutes.
constexpr int64_t kSecondsFromYear1To1970 = 62'135'596'800;
constexpr size_t kTimeBytes = 15;
constexpr uint16_t kZoneUtc = 0xffff;

// Type ids that gob itself has.
enum BasicType : int64_t { kBool = 1, kInt, kUint, kFloat, kBytes, kString, kComplex, kInterface };
constexpr int64_t kFirstOwnType = 64;
// Deeper nesting than any state file has: a bound for hostile ones.
constexpr int kDepthMax = 32;

enum class Kind : uint8_t { kNone, kArray, kSlice, kStruct, kMap, kOpaque };
struct Type {
  Kind kind = Kind::kNone;
  int64_t key = 0;
  int64_t element = 0;
  std::vector<std::pair<std::string, int64_t>> fields;
};

Status Malformed(std::string_view what) {
  return MakeError(ErrorCode::kCorruption, "gob: {}", what);
}

class GobReader {
 public:
  explicit GobReader(std::string_view bytes) : reader_(bytes) {}

  Result<Groups> Read() {
    while (!reader_.empty()) {
      const uint64_t length = Uint();
      if (reader_.failed() || length > reader_.remaining()) return Malformed("unexpected EOF");
      const size_t end = reader_.remaining() - length;
      const int64_t id = Int();
      if (id < 0) {
        NARTHEX_RETURN_IF_ERROR(Define(-id));
      } else {
        // What stands outside a struct has a zero in front.
        Uint();
        NARTHEX_RETURN_IF_ERROR(ReadGroups(id));
        return std::move(groups_);
      }
      if (reader_.failed() || reader_.remaining() != end) return Malformed("bad type definition");
    }
    return Malformed("no value in the file");
  }

 private:
  uint64_t Uint() {
    const uint8_t first = reader_.Byte();
    if (first < 0x80) return first;
    const int count = 256 - first;
    if (count > 8) return Break();
    uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | reader_.Byte();
    return value;
  }
  int64_t Int() {
    const uint64_t bits = Uint();
    const auto half = static_cast<int64_t>(bits >> 1);
    return (bits & 1) != 0 ? ~half : half;
  }
  std::string_view Text() { return reader_.Bytes(Uint()); }
  uint64_t Break() {
    reader_.Skip(reader_.remaining() + 1);
    return 0;
  }

  // Calls visit(field number) for each field that is there.
  template <typename Visit>
  Status Fields(Visit&& visit) {
    int64_t field = -1;
    while (true) {
      const uint64_t delta = Uint();
      if (reader_.failed()) return Malformed("unexpected EOF");
      if (delta == 0) return {};
      field += static_cast<int64_t>(std::min<uint64_t>(delta, 1'000));
      NARTHEX_RETURN_IF_ERROR(visit(field));
    }
  }

  Status Skip(int64_t type_id, int depth) {
    if (depth > kDepthMax) return Malformed("nested too deeply");
    switch (type_id) {
      case kBool:
      case kInt:
      case kUint:
      case kFloat: Uint(); return {};
      case kBytes:
      case kString: Text(); return {};
      default: break;
    }
    const Type* type = Find(type_id);
    if (type == nullptr) return Malformed("unknown type id");
    switch (type->kind) {
      case Kind::kOpaque: Text(); return {};
      case Kind::kStruct:
        return Fields([&](int64_t field) { return SkipField(*type, field, depth); });
      case Kind::kArray:
      case Kind::kSlice:
      case Kind::kMap: {
        const uint64_t count = Uint();
        for (uint64_t i = 0; i < count && !reader_.failed(); ++i) {
          if (type->kind == Kind::kMap) NARTHEX_RETURN_IF_ERROR(Skip(type->key, depth + 1));
          NARTHEX_RETURN_IF_ERROR(Skip(type->element, depth + 1));
        }
        return {};
      }
      case Kind::kNone: break;
    }
    return Malformed("type without a kind");
  }
  Status SkipField(const Type& type, int64_t field, int depth) {
    if (field >= static_cast<int64_t>(type.fields.size())) return Malformed("field out of range");
    return Skip(type.fields[static_cast<size_t>(field)].second, depth + 1);
  }

  const Type* Find(int64_t id) const {
    const auto it = types_.find(id);
    return it == types_.end() ? nullptr : &it->second;
  }

  // CommonType { Name string; Id int }: nothing of it is needed.
  Status SkipCommon() {
    return Fields([&](int64_t field) {
      if (field == 0) {
        Text();
      } else {
        Int();
      }
      return Status();
    });
  }

  // wireType { ArrayT, SliceT, StructT, MapT, GobEncoderT, BinaryMarshalerT, TextMarshalerT }.
  Status Define(int64_t id) {
    Type type;
    NARTHEX_RETURN_IF_ERROR(Fields([&](int64_t kind) {
      switch (kind) {
        case 0: type.kind = Kind::kArray; break;
        case 1: type.kind = Kind::kSlice; break;
        case 2: type.kind = Kind::kStruct; break;
        case 3: type.kind = Kind::kMap; break;
        default: type.kind = Kind::kOpaque;
      }
      return Fields([&](int64_t field) -> Status {
        if (field == 0) return SkipCommon();
        if (type.kind == Kind::kStruct) return ReadFieldTypes(&type);
        if (type.kind == Kind::kMap && field == 1) {
          type.key = Int();
        } else if (field == 1 || (type.kind == Kind::kMap && field == 2)) {
          type.element = Int();
        } else {
          Int();  // The length of an array.
        }
        return {};
      });
    }));
    types_[id] = std::move(type);
    return {};
  }

  Status ReadFieldTypes(Type* type) {
    const uint64_t count = Uint();
    for (uint64_t i = 0; i < count && !reader_.failed(); ++i) {
      std::pair<std::string, int64_t> entry;
      NARTHEX_RETURN_IF_ERROR(Fields([&](int64_t field) {
        if (field == 0) {
          entry.first = std::string(Text());
        } else {
          entry.second = Int();
        }
        return Status();
      }));
      type->fields.push_back(std::move(entry));
    }
    return {};
  }

  // Walks the struct of `type_id`; visit(name of the field, its type) says whether it was taken.
  template <typename Visit>
  Status Struct(int64_t type_id, Visit&& visit) {
    const Type* type = Find(type_id);
    if (type == nullptr || type->kind != Kind::kStruct) return Malformed("wrong type of value");
    return Fields([&](int64_t field) -> Status {
      if (field >= static_cast<int64_t>(type->fields.size())) {
        return Malformed("field out of range");
      }
      const auto& [name, field_type] = type->fields[static_cast<size_t>(field)];
      NARTHEX_TRY(const bool taken, visit(name, field_type));
      return taken ? Status() : Skip(field_type, 0);
    });
  }
  template <typename Visit>
  Status Map(int64_t type_id, Visit&& visit) {
    const Type* type = Find(type_id);
    if (type == nullptr || type->kind != Kind::kMap || type->key != kString) {
      return Malformed("wrong type of value");
    }
    const uint64_t count = Uint();
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key(Text());
      if (reader_.failed()) return Malformed("unexpected EOF");
      NARTHEX_RETURN_IF_ERROR(visit(key, type->element));
    }
    return {};
  }

  Status ReadGroups(int64_t type_id) {
    return Map(type_id, [&](const std::string&, int64_t element) -> Status {
      auto group = std::make_shared<Group>();
      NARTHEX_RETURN_IF_ERROR(
          Struct(element, [&](const std::string& name, int64_t type) -> Result<bool> {
            if (name == "Labels") {
              NARTHEX_RETURN_IF_ERROR(Map(type, [&](const std::string& label, int64_t) -> Status {
                group->labels.push_back({label, std::string(Text())});
                return {};
              }));
              return true;
            }
            if (name != "Metrics") return false;
            NARTHEX_RETURN_IF_ERROR(ReadFamilies(type, group.get()));
            return true;
          }));
      std::sort(group->labels.begin(), group->labels.end());
      std::string key = GroupingKey(group->labels);
      groups_.insert_or_assign(std::move(key), std::move(group));
      return {};
    });
  }

  Status ReadFamilies(int64_t type_id, Group* group) {
    return Map(type_id, [&](const std::string& family_name, int64_t element) -> Status {
      StampedFamily stamped;
      NARTHEX_RETURN_IF_ERROR(
          Struct(element, [&](const std::string& name, int64_t) -> Result<bool> {
            if (name == "Timestamp") {
              NARTHEX_TRY(stamped.time, ReadTime(Text()));
              return true;
            }
            if (name != "GobbableMetricFamily") return false;
            NARTHEX_TRY(client::MetricFamily family, DecodeFamily(Text()));
            stamped.family = std::make_shared<client::MetricFamily>(std::move(family));
            return true;
          }));
      if (stamped.family == nullptr) return Malformed("group without its metric family");
      group->families.insert_or_assign(family_name, std::move(stamped));
      return {};
    });
  }

  Result<client::Timestamp> ReadTime(std::string_view bytes) {
    ByteReader time(bytes);
    const uint8_t version = time.Byte();
    const auto seconds = static_cast<int64_t>(time.BigEndian64());
    const auto nanos = static_cast<int32_t>(time.BigEndian32());
    if (time.failed() || (version != 1 && version != 2)) return Malformed("bad time");
    return client::Timestamp{seconds - kSecondsFromYear1To1970, nanos};
  }

  ByteReader reader_;
  std::map<int64_t, Type> types_;
  Groups groups_;
};

class GobWriter {
 public:
  void Uint(uint64_t value) {
    if (value < 0x80) {
      out_.push_back(static_cast<char>(value));
      return;
    }
    const int bytes = (64 - std::countl_zero(value) + 7) / 8;
    out_.push_back(static_cast<char>(-bytes));
    for (int i = bytes - 1; i >= 0; --i) out_.push_back(static_cast<char>(value >> (8 * i)));
  }
  void Int(int64_t value) {
    Uint(value < 0 ? static_cast<uint64_t>(~value) << 1 | 1 : static_cast<uint64_t>(value) << 1);
  }
  void Text(std::string_view text) {
    Uint(text.size());
    out_.append(text);
  }
  std::string& out() { return out_; }

 private:
  std::string out_;
};

// The types of the file. Their numbers are free; gob's decoder goes by what is defined here.
constexpr int64_t kGroupType = kFirstOwnType;
constexpr int64_t kLabelsType = kFirstOwnType + 1;
constexpr int64_t kFamilyType = kFirstOwnType + 2;
constexpr int64_t kTimeType = kFirstOwnType + 3;
constexpr int64_t kProtoType = kFirstOwnType + 4;
constexpr int64_t kFamiliesType = kFirstOwnType + 5;
constexpr int64_t kGroupsType = kFirstOwnType + 6;

void Frame(GobWriter* message, std::string* file) {
  GobWriter length;
  length.Uint(message->out().size());
  file->append(length.out()).append(message->out());
}

// Begins a definition: which kind of type, and its CommonType.
GobWriter BeginType(int64_t id, uint64_t kind_field, std::string_view name) {
  GobWriter type;
  type.Int(-id);
  type.Uint(kind_field);
  type.Uint(1);  // CommonType
  uint64_t to_id = 2;
  if (!name.empty()) {
    type.Uint(1);
    type.Text(name);
    to_id = 1;
  }
  type.Uint(to_id);
  type.Int(id);
  type.Uint(0);
  return type;
}

void DefineMap(int64_t id, std::string_view name, int64_t key, int64_t element, std::string* file) {
  GobWriter type = BeginType(id, 4, name);
  type.Uint(1);
  type.Int(key);
  type.Uint(1);
  type.Int(element);
  type.Uint(0);
  type.Uint(0);
  Frame(&type, file);
}

void DefineStruct(int64_t id, const std::vector<std::pair<std::string_view, int64_t>>& fields,
                  std::string* file) {
  GobWriter type = BeginType(id, 3, {});
  type.Uint(1);
  type.Uint(fields.size());
  for (const auto& [name, field_type] : fields) {
    type.Uint(1);
    type.Text(name);
    type.Uint(1);
    type.Int(field_type);
    type.Uint(0);
  }
  type.Uint(0);
  type.Uint(0);
  Frame(&type, file);
}

void DefineOpaque(int64_t id, std::string_view name, std::string* file) {
  GobWriter type = BeginType(id, 5, name);
  type.Uint(0);
  type.Uint(0);
  Frame(&type, file);
}

std::string GoTime(client::Timestamp time) {
  std::string bytes;
  ByteWriter writer(&bytes);
  writer.PutByte(1);
  writer.PutBigEndian64(static_cast<uint64_t>(time.seconds + kSecondsFromYear1To1970));
  writer.PutBigEndian32(static_cast<uint32_t>(time.nanos));
  writer.PutBigEndian16(kZoneUtc);
  static_assert(kTimeBytes == 1 + 8 + 4 + 2);
  return bytes;
}

}  // namespace

Result<Groups> DecodeStateFile(std::string_view bytes) {
  return GobReader(bytes).Read();
}

std::string EncodeStateFile(const Groups& groups) {
  std::string file;
  DefineMap(kGroupsType, "GroupingKeyToMetricGroup", kString, kGroupType, &file);
  DefineStruct(kGroupType, {{"Labels", kLabelsType}, {"Metrics", kFamiliesType}}, &file);
  DefineMap(kLabelsType, "map[string]string", kString, kString, &file);
  DefineMap(kFamiliesType, "NameToTimestampedMetricFamilyMap", kString, kFamilyType, &file);
  DefineStruct(kFamilyType, {{"Timestamp", kTimeType}, {"GobbableMetricFamily", kProtoType}},
               &file);
  DefineOpaque(kTimeType, "Time", &file);
  DefineOpaque(kProtoType, {}, &file);

  GobWriter value;
  value.Int(kGroupsType);
  value.Uint(0);
  value.Uint(groups.size());
  for (const auto& [key, group] : groups) {
    value.Text(key);
    value.Uint(1);
    value.Uint(group->labels.size());
    for (const client::LabelPair& label : group->labels) {
      value.Text(label.name);
      value.Text(label.value);
    }
    value.Uint(1);
    value.Uint(group->families.size());
    for (const auto& [name, stamped] : group->families) {
      value.Text(name);
      value.Uint(1);
      value.Text(GoTime(stamped.time));
      value.Uint(1);
      value.Text(EncodeFamily(*stamped.family));
      value.Uint(0);
    }
    value.Uint(0);
  }
  Frame(&value, &file);
  return file;
}

}  // namespace narthex::push
