// Tells in the time that one push takes, however much is stored, whether it fits the rest.
//
// Upstream copies its whole store and gathers it for each push. This index keeps what that would
// look at: which types each name has, and which series exist. Its verdict "fits" is as good as
// Gather()'s; on "may not fit" the caller asks Gather(), which also knows the words of the error.
//
// Threads: one at a time.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "push/group.h"
#include "push/series_hash.h"
#include "util/hash_map.h"

namespace narthex::push {

class ConsistencyIndex {
 public:
  // Names and types of what the gateway exposes of itself.
  void SetOwn(const std::vector<client::MetricFamily>& own);

  void Add(const client::MetricFamily& family);
  void Remove(const client::MetricFamily& family);

  // Whether all that was added can stand on one page.
  bool Fits() const {
    return unsound_families_ == 0 && mixed_names_ == 0 && repeated_series_ == 0 &&
           clashing_names_ == 0;
  }
  size_t series_count() const { return series_count_; }

 private:
  static constexpr size_t kTypes = 6;
  struct Name {
    std::array<uint32_t, kTypes> families{};  // How many of each type.
    bool own = false;
    uint8_t own_type = 0;

    bool present() const;
    bool mixed() const;
    bool has(client::MetricType type) const;
  };
  // Changes a name, keeping the counters right.
  template <typename Change>
  void ChangeName(const std::string& name, Change&& change);
  // How many of the names that `name` may clash with by a suffix it does clash with.
  size_t Clashes(std::string_view name) const;
  const Name* Find(std::string_view name) const;

  StringMap<Name> names_;
  boost::unordered_flat_map<SeriesHash, uint32_t, SeriesHash::Hasher> series_;
  size_t series_count_ = 0;
  size_t unsound_families_ = 0;
  size_t mixed_names_ = 0;
  size_t repeated_series_ = 0;
  size_t clashing_names_ = 0;
};

}  // namespace narthex::push
