// Writes JSON text piece by piece: no tree, commas by itself, Go's number and string spelling.
//
//   JsonWriter json(&out);
//   json.BeginObject().Key("status").String("success").Key("n").Int(3).EndObject();
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/labels.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::web {

class JsonWriter {
 public:
  explicit JsonWriter(std::string* out) : out_(out) {}

  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  // Keys are written without HTML escapes: they are label names or our own words.
  JsonWriter& Key(std::string_view key) {
    Comma();
    AppendJsonString(key, JsonEscape::kPlain, out_);
    out_->push_back(':');
    comma_ = false;
    return *this;
  }
  JsonWriter& String(std::string_view text, JsonEscape escape = JsonEscape::kGo) {
    Comma();
    AppendJsonString(text, escape, out_);
    return *this;
  }
  JsonWriter& Int(int64_t value) {
    Comma();
    char buffer[24];
    out_->append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
    return *this;
  }
  JsonWriter& Bool(bool value) { return Raw(value ? "true" : "false"); }
  JsonWriter& Null() { return Raw("null"); }
  // A JSON number; the special values have no JSON form and become null.
  JsonWriter& Double(double value) {
    if (!(value - value == 0)) return Null();
    Comma();
    AppendJsonFloat(value, out_);
    return *this;
  }
  // A value that is already JSON.
  JsonWriter& Raw(std::string_view json) {
    Comma();
    out_->append(json);
    return *this;
  }

  // "metric" objects: in label order, without HTML escapes.
  JsonWriter& LabelObject(const Labels& labels) {
    BeginObject();
    for (const LabelView& label : labels) Key(label.name).String(label.value, JsonEscape::kPlain);
    return EndObject();
  }
  // Seconds with up to three decimals: 1.5 s is 1.500, whole seconds have no fraction.
  JsonWriter& Timestamp(int64_t milliseconds);
  // "1.5": a sample's value as the API shows it.
  JsonWriter& SampleValue(double value) {
    Comma();
    out_->push_back('"');
    AppendJsonFloat(value, out_);
    out_->push_back('"');
    return *this;
  }

  std::string* out() { return out_; }

 private:
  void Comma() {
    if (comma_) out_->push_back(',');
    comma_ = true;
  }
  JsonWriter& Open(char bracket) {
    Comma();
    out_->push_back(bracket);
    comma_ = false;
    return *this;
  }
  JsonWriter& Close(char bracket) {
    out_->push_back(bracket);
    comma_ = true;
    return *this;
  }

  std::string* out_;
  bool comma_ = false;  // Whether the next value follows another on its level.
};

inline JsonWriter& JsonWriter::Timestamp(int64_t milliseconds) {
  Comma();
  char buffer[32];
  char* p = buffer;
  uint64_t magnitude = static_cast<uint64_t>(milliseconds);
  if (milliseconds < 0) {
    *p++ = '-';
    magnitude = 0 - magnitude;
  }
  p = std::to_chars(p, buffer + sizeof buffer, magnitude / 1000).ptr;
  if (const uint64_t fraction = magnitude % 1000; fraction != 0) {
    *p++ = '.';
    *p++ = static_cast<char>('0' + fraction / 100);
    *p++ = static_cast<char>('0' + fraction / 10 % 10);
    *p++ = static_cast<char>('0' + fraction % 10);
  }
  out_->append(buffer, p);
  return *this;
}

}  // namespace narthex::web
