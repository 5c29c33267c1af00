#include "model/labels.h"

#include <algorithm>
#include <cstring>

#include "util/check.h"
#include "util/hash.h"
#include "util/strings.h"

namespace narthex {
namespace {

constexpr size_t kShortTextMax = 254;
constexpr size_t kTextMax = (1 << 24) - 1;

}  // namespace

void Labels::AppendText(std::string_view text, std::string* out) {
  text = text.substr(0, kTextMax);
  if (text.size() <= kShortTextMax) {
    out->push_back(static_cast<char>(text.size()));
  } else {
    const char header[] = {'\xff', static_cast<char>(text.size()),
                           static_cast<char>(text.size() >> 8),
                           static_cast<char>(text.size() >> 16)};
    out->append(header, sizeof header);
  }
  out->append(text);
}

void Labels::AppendPair(std::string_view name, std::string_view value, std::string* out) {
  AppendText(name, out);
  AppendText(value, out);
}

Labels::Labels(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  LabelsBuilder builder;
  for (const auto& [name, value] : pairs) builder.Set(name, value);
  *this = builder.Build();
}

Labels Labels::FromPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  LabelsBuilder builder;
  for (const auto& [name, value] : pairs) builder.Set(name, value);
  return builder.Build();
}

Labels Labels::FromSorted(std::span<const LabelView> sorted) {
  Labels labels;
  size_t bytes = 0;
  bool is_short = true;
  for (const LabelView& pair : sorted) {
    is_short = is_short && pair.name.size() <= kShortTextMax && pair.value.size() <= kShortTextMax;
    if (!pair.value.empty()) bytes += pair.name.size() + pair.value.size() + 2;
  }
  if (!is_short) {
    labels.data_.reserve(bytes);
    for (const LabelView& pair : sorted) {
      if (!pair.value.empty()) AppendPair(pair.name, pair.value, &labels.data_);
    }
    return labels;
  }
  // Selecting series makes labels by the ten thousand: written into place, without asking the
  // string for room at every text.
  labels.data_.resize(bytes);
  char* at = labels.data_.data();
  const auto put = [&at](std::string_view text) {
    *at++ = static_cast<char>(text.size());
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  for (const LabelView& pair : sorted) {
    if (pair.value.empty()) continue;
    put(pair.name);
    put(pair.value);
  }
  return labels;
}

size_t Labels::size() const {
  return static_cast<size_t>(std::distance(begin(), end()));
}

std::string_view Labels::Get(std::string_view name) const {
  for (const LabelView& pair : *this) {
    if (pair.name == name) return pair.value;
    // Names ascend, so the first greater one ends the search.
    if (pair.name > name) break;
  }
  return {};
}

uint64_t Labels::Hash() const {
  return XxHash64(data_);
}

uint64_t Labels::StableHash() const {
  std::string bytes;
  bytes.reserve(data_.size());
  for (const LabelView& pair : *this) {
    bytes.append(pair.name).push_back('\xff');
    bytes.append(pair.value).push_back('\xff');
  }
  return XxHash64(bytes);
}

Labels Labels::Keep(const std::vector<std::string>& names) const {
  Labels kept;
  for (const LabelView& pair : *this) {
    if (std::binary_search(names.begin(), names.end(), pair.name)) {
      AppendPair(pair.name, pair.value, &kept.data_);
    }
  }
  return kept;
}

Labels Labels::Without(const std::vector<std::string>& names, bool drop_name) const {
  Labels kept;
  for (const LabelView& pair : *this) {
    if (drop_name && pair.name == kMetricNameLabel) continue;
    if (std::binary_search(names.begin(), names.end(), pair.name)) continue;
    AppendPair(pair.name, pair.value, &kept.data_);
  }
  return kept;
}

Labels Labels::WithoutMetricName() const {
  return Without({}, /*drop_name=*/true);
}

std::string Labels::ToString() const {
  std::string out = "{";
  for (const LabelView& pair : *this) {
    if (out.size() > 1) out.append(", ");
    out.append(IsLegacyLabelName(pair.name) ? std::string(pair.name) : GoQuote(pair.name));
    out.push_back('=');
    out.append(GoQuote(pair.value));
  }
  out.push_back('}');
  return out;
}

std::string Labels::ToMetricString() const {
  const std::string_view name = metric_name();
  if (name.empty()) return ToString();
  const Labels rest = WithoutMetricName();
  if (IsLegacyMetricName(name)) {
    return std::string(name) + (rest.empty() ? std::string() : rest.ToString());
  }
  std::string out = "{" + GoQuote(name);
  if (!rest.empty()) out += ", " + rest.ToString().substr(1, std::string::npos);
  return rest.empty() ? out + "}" : out;
}

std::strong_ordering operator<=>(const Labels& a, const Labels& b) {
  auto left = a.begin();
  auto right = b.begin();
  for (; left != a.end() && right != b.end(); ++left, ++right) {
    if (const auto order = *left <=> *right; order != 0) return order;
  }
  return (left != a.end()) <=> (right != b.end());
}

size_t LabelsHash::operator()(const Labels& labels) const {
  return FastHash64(labels.encoded());
}

void LabelsBuilder::Reset(Labels base) {
  base_ = std::move(base);
  added_.clear();
  deleted_.clear();
}

LabelsBuilder& LabelsBuilder::Set(std::string_view name, std::string_view value) {
  if (value.empty()) return Delete(name);
  for (auto& [key, old] : added_) {
    if (key == name) {
      old = value;
      return *this;
    }
  }
  added_.emplace_back(name, value);
  return *this;
}

LabelsBuilder& LabelsBuilder::Delete(std::string_view name) {
  std::erase_if(added_, [&](const auto& pair) { return pair.first == name; });
  if (std::find(deleted_.begin(), deleted_.end(), name) == deleted_.end()) {
    deleted_.emplace_back(name);
  }
  return *this;
}

std::string_view LabelsBuilder::Get(std::string_view name) const {
  for (const auto& [key, value] : added_) {
    if (key == name) return value;
  }
  if (std::find(deleted_.begin(), deleted_.end(), name) != deleted_.end()) return {};
  return base_.Get(name);
}

Labels LabelsBuilder::Build() const {
  if (!changed()) return base_;
  std::vector<LabelView> pairs;
  for (const LabelView& pair : base_) {
    const auto replaced = [&](const auto& entry) { return entry.first == pair.name; };
    if (std::find(deleted_.begin(), deleted_.end(), pair.name) != deleted_.end()) continue;
    if (std::any_of(added_.begin(), added_.end(), replaced)) continue;
    pairs.push_back(pair);
  }
  for (const auto& [name, value] : added_) pairs.push_back({name, value});
  std::sort(pairs.begin(), pairs.end());
  return Labels::FromSorted(pairs);
}

}  // namespace narthex
