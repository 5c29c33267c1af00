// Families whose labels are types: a wrong number of values, a bad or repeated label name and a
// value that is not among those listed do not compile.
//
//   struct Method {
//     static constexpr std::string_view kName = "method";
//     enum Value { kGet, kPost };                                        // Optional: all values
//     static constexpr std::string_view kValues[] = {"GET", "POST"};     // there are.
//   };
//   struct Path { static constexpr std::string_view kName = "path"; };
//
//   TypedFamily<Counter, Method, Path> requests{registry, {"requests_total", "Requests."}};
//   requests(Method::kGet, "/metrics").Inc();
//
// C++20 has a shorter form for labels without listed values:
//
//   StaticFamily<Counter, "method", "code"> requests{registry, {"requests_total", "Requests."}};
//   requests("GET", 200).Inc();
//
// Values are texts, integers, or enumerators of the label. When all labels list their values a call
// is an index into a table of handles (about 2 ns, no lock); otherwise it is a look-up as
// Family::WithLabels is. Threads: all.
#pragma once

#include <array>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "narthex/client/family.h"

namespace narthex::client {

namespace detail {

// What can be said at compile time; the declaration checks the rest (UTF-8).
constexpr bool MayBeLabelName(std::string_view name) {
  return !name.empty() && name.substr(0, 2) != "__";
}

template <typename... Labels>
constexpr bool LabelNamesDiffer() {
  constexpr std::array<std::string_view, sizeof...(Labels)> names = {Labels::kName...};
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (names[i] == names[k]) return false;
    }
  }
  return true;
}

constexpr bool IsFreeFor(MetricType type, std::string_view name) {
  return !(type == MetricType::kHistogram && name == "le") &&
         !(type == MetricType::kSummary && name == "quantile");
}

template <typename L, typename = void>
struct ListsValues : std::false_type {};
template <typename L>
struct ListsValues<L, std::void_t<decltype(std::size(L::kValues)), typename L::Value>>
    : std::true_type {};

template <typename L>
constexpr size_t ValueCount() {
  if constexpr (ListsValues<L>::value) {
    return std::size(L::kValues);
  } else {
    return 0;
  }
}

// Whether V may stand for label L.
template <typename L, typename V>
constexpr bool IsValueOf() {
  if constexpr (ListsValues<L>::value) {
    return std::is_same_v<V, typename L::Value>;
  } else {
    return std::is_convertible_v<const V&, std::string_view> ||
           (std::is_integral_v<V> && !std::is_same_v<V, bool> && !std::is_same_v<V, char>);
  }
}

// One value as text, for the time of a call.
template <typename L>
class ValueText {
 public:
  template <typename V>
  explicit ValueText(const V& value) {
    if constexpr (ListsValues<L>::value) {
      text_ = L::kValues[static_cast<size_t>(value)];
    } else if constexpr (std::is_convertible_v<const V&, std::string_view>) {
      text_ = value;
    } else {
      const auto end = std::to_chars(digits_, digits_ + sizeof digits_, value).ptr;
      text_ = std::string_view(digits_, static_cast<size_t>(end - digits_));
    }
  }
  ValueText(const ValueText&) = delete;
  ValueText& operator=(const ValueText&) = delete;
  std::string_view text() const { return text_; }

 private:
  char digits_[24];
  std::string_view text_;
};

// Handles by index, made when first asked for; never taken back.
template <typename M>
class HandleTable {
 public:
  explicit HandleTable(size_t size) : handles_(size) {}
  ~HandleTable() {
    for (std::atomic<const M*>& handle : handles_) delete handle.load(std::memory_order_relaxed);
  }
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  template <typename Make>
  const M& Get(size_t index, const Make& make) {
    const M* handle = handles_[index].load(std::memory_order_acquire);
    if (handle != nullptr) return *handle;
    auto made = std::make_unique<const M>(make());
    if (handles_[index].compare_exchange_strong(handle, made.get(), std::memory_order_acq_rel)) {
      handle = made.release();
    }
    return *handle;
  }

 private:
  std::vector<std::atomic<const M*>> handles_;
};

}  // namespace detail

template <typename M, typename... LabelTypes>
class TypedFamily {
  static_assert(sizeof...(LabelTypes) > 0,
                "a family needs labels; without any, declare the metric");
  static_assert((detail::MayBeLabelName(LabelTypes::kName) && ...),
                "label names are not empty and do not begin with two underscores");
  static_assert(detail::LabelNamesDiffer<LabelTypes...>(), "two labels have the same name");
  static_assert((detail::IsFreeFor(M::kType, LabelTypes::kName) && ...),
                "`le` in histograms and `quantile` in summaries are not free");
  static constexpr bool kAllListed = (detail::ListsValues<LabelTypes>::value && ...);
  static constexpr size_t kTableSize =
      kAllListed ? (detail::ValueCount<LabelTypes>() * ... * size_t{1}) : 0;
  static_assert(kTableSize <= 4096, "too many combinations of label values for a table");

 public:
  using Options = typename M::Options;

  TypedFamily() = default;
  TypedFamily(Registry& registry, const MetricOptions& options, const Options& metric_options = {})
      : family_(registry, options, {std::string(LabelTypes::kName)...}, metric_options),
        table_(kAllListed ? std::make_shared<detail::HandleTable<M>>(kTableSize) : nullptr) {}
  static Result<TypedFamily> Declare(Registry* registry, const MetricOptions& options,
                                     const Options& metric_options = {}) {
    auto family =
        Family<M>::Declare(registry, options, {std::string(LabelTypes::kName)...}, metric_options);
    if (!family.ok()) return family.status();
    TypedFamily typed;
    typed.family_ = *std::move(family);
    if (kAllListed) typed.table_ = std::make_shared<detail::HandleTable<M>>(kTableSize);
    return typed;
  }

  // The series with these values, which appears with the first call. With listed values the
  // reference lives as long as the last copy of this family.
  template <
      typename... Values, typename = std::enable_if_t<sizeof...(Values) == sizeof...(LabelTypes)>,
      typename =
          std::enable_if_t<(detail::IsValueOf<LabelTypes, std::decay_t<const Values&>>() && ...)>>
  std::conditional_t<kAllListed, const M&, M> operator()(const Values&... values) const {
    if constexpr (kAllListed) {
      size_t index = 0;
      ((index = index * detail::ValueCount<LabelTypes>() + static_cast<size_t>(values)), ...);
      return table_->Get(index, [&] { return Find(values...); });
    } else {
      return Find(values...);
    }
  }

  // For removal, and look-ups by values that are not known at compile time. A series that was
  // removed comes back, from zero, with the next call for its values; not where all are listed:
  // those are for ever.
  const Family<M>& family() const { return family_; }

 private:
  template <typename... Values>
  M Find(const Values&... values) const {
    return family_.WithLabels({detail::ValueText<LabelTypes>(values).text()...});
  }

  Family<M> family_;
  std::shared_ptr<detail::HandleTable<M>> table_;
};

#if __cplusplus >= 202002L
template <size_t N>
struct LabelName {
  // NOLINTNEXTLINE: implicit by design
  consteval LabelName(const char (&name)[N]) {
    for (size_t i = 0; i < N; ++i) text[i] = name[i];
  }
  char text[N] = {};
};

template <LabelName Name>
struct Label {
  static constexpr std::string_view kName{Name.text, sizeof(Name.text) - 1};
};

template <typename M, LabelName... Names>
using StaticFamily = TypedFamily<M, Label<Names>...>;
#endif

}  // namespace narthex::client
