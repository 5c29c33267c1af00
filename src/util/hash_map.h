// Flat hash maps keyed by strings that are looked up with a std::string_view without a copy.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "util/hash.h"

namespace narthex {

struct StringHash {
  using is_transparent = void;
  using is_avalanching = void;
  size_t operator()(std::string_view text) const { return FastHash64(text); }
};

template <typename K, typename V, typename Hash = boost::hash<K>, typename Equal = std::equal_to<K>>
using HashMap = boost::unordered_flat_map<K, V, Hash, Equal>;
template <typename K, typename Hash = boost::hash<K>, typename Equal = std::equal_to<K>>
using HashSet = boost::unordered_flat_set<K, Hash, Equal>;

template <typename V>
using StringMap = boost::unordered_flat_map<std::string, V, StringHash, std::equal_to<>>;
using StringSet = boost::unordered_flat_set<std::string, StringHash, std::equal_to<>>;
// Keys are views: whoever fills the map keeps the texts alive.
template <typename V>
using StringViewMap = boost::unordered_flat_map<std::string_view, V, StringHash, std::equal_to<>>;

}  // namespace narthex
