// Which series satisfy a set of matchers: the step of a query that looks at label values instead of
// series. Shared by blocks and the head, which differ only in where their lists lie.
//
// A matcher that does not accept the empty string needs its label: it contributes the union of the
// lists of the values it accepts, to be intersected. One that accepts the empty string is also
// satisfied by series without the label: the lists of the values it rejects are subtracted. Both
// together are exact, whatever the matcher's type. Lists that need no scan over values come first
// and the shortest of them first, so that expensive matchers find little or nothing left.
//
// A source looks like this (Source::List as in postings.h; its views hold during the call):
//
//   struct Source {
//     using Ref = uint32_t;
//     using List = BigEndianPostings;
//     // The series with this pair; empty when there is none.
//     Result<List> Postings(std::string_view name, std::string_view value) const;
//     Result<List> AllPostings() const;
//     // Adds the lists of all values of `name` for which accept(value) is true.
//     template <typename Accept>
//     Status PostingsMatching(std::string_view name, Accept accept, std::vector<List>* lists)
//     const;
//   };
//
// Threads: as the source.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "model/matcher.h"
#include "tsdb/index/postings.h"
#include "util/status.h"

namespace narthex::tsdb {

namespace postings_internal {

// What one matcher contributes, from cheap to dear.
enum class Work : uint8_t {
  kNothing,     // Accepts everything (`=~".*"`).
  kNoSeries,    // Accepts nothing (`!~".*"`).
  kOneValue,    // One list.
  kSomeValues,  // A list for each of a finite set of literals.
  kScan,        // Every value of the label has to be looked at.
};

inline Work WorkOf(const Matcher& matcher) {
  const bool is_not =
      matcher.type() == MatchType::kNotEqual || matcher.type() == MatchType::kNotRegexp;
  if (matcher.regex() == nullptr) {
    // `a="x"` and `a!="x"` name a value; `a=""` and `a!=""` speak of all of them.
    return matcher.value().empty() ? Work::kScan : Work::kOneValue;
  }
  const std::string_view pattern = matcher.value();
  if (pattern == ".*") return is_not ? Work::kNoSeries : Work::kNothing;
  return matcher.regex()->literal_values().empty() ? Work::kScan : Work::kSomeValues;
}

// The lists of the values that the matcher names (`literal`), or of those that it accepts or, with
// `rejected`, does not.
template <typename Source>
Status Collect(const Source& source, const Matcher& matcher, Work work, bool rejected,
               std::vector<typename Source::List>* lists) {
  if (work == Work::kOneValue) {
    NARTHEX_TRY(typename Source::List list, source.Postings(matcher.name(), matcher.value()));
    lists->push_back(std::move(list));
    return {};
  }
  if (work == Work::kSomeValues) {
    for (const std::string& value : matcher.regex()->literal_values()) {
      if (value.empty()) continue;
      NARTHEX_TRY(typename Source::List list, source.Postings(matcher.name(), value));
      lists->push_back(std::move(list));
    }
    return {};
  }
  return source.PostingsMatching(
      matcher.name(), [&](std::string_view value) { return matcher.Matches(value) != rejected; },
      lists);
}

}  // namespace postings_internal

// Ascending references of the series that satisfy all matchers. No matchers: all series.
template <typename Source>
Result<std::vector<typename Source::Ref>> PostingsForMatchers(const Source& source,
                                                              std::span<const Matcher> matchers) {
  using Ref = typename Source::Ref;
  using List = typename Source::List;
  using postings_internal::Collect;
  using postings_internal::Work;
  using postings_internal::WorkOf;

  struct Term {
    const Matcher* matcher;
    Work work;
    bool subtract;
  };
  std::vector<Term> terms;
  for (const Matcher& matcher : matchers) {
    const Work work = WorkOf(matcher);
    if (work == Work::kNoSeries) return std::vector<Ref>();
    if (work == Work::kNothing) continue;
    if (matcher.name().empty() && matcher.value().empty()) continue;  // Upstream: all series.
    const bool subtract = matcher.matches_empty();
    Term term{&matcher, work, subtract};
    // A negative matcher names what it rejects, a positive one what it accepts. When that is the
    // other of what we need, only a scan finds it.
    const bool is_not =
        matcher.type() == MatchType::kNotEqual || matcher.type() == MatchType::kNotRegexp;
    if (is_not != subtract) term.work = Work::kScan;
    terms.push_back(term);
  }
  std::stable_sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    if (a.subtract != b.subtract) return b.subtract;
    return a.work < b.work;
  });

  // Lists of single values: the shortest starts.
  std::vector<List> singles;
  size_t next = 0;
  for (; next < terms.size(); ++next) {
    const Term& term = terms[next];
    if (term.subtract || term.work != Work::kOneValue) break;
    NARTHEX_RETURN_IF_ERROR(Collect(source, *term.matcher, term.work, false, &singles));
    if (singles.back().size() == 0) return std::vector<Ref>();
  }
  std::stable_sort(singles.begin(), singles.end(),
                   [](const List& a, const List& b) { return a.size() < b.size(); });
  bool started = false;
  std::vector<Ref> kept;
  for (const List& list : singles) {
    if (started) {
      IntersectWith(&kept, list);
    } else {
      kept = CopyPostings<Ref>(list);
      started = true;
    }
    if (kept.empty()) return kept;
  }

  std::vector<List> lists;
  for (; next < terms.size(); ++next) {
    const Term& term = terms[next];
    lists.clear();
    NARTHEX_RETURN_IF_ERROR(Collect(source, *term.matcher, term.work, term.subtract, &lists));
    if (!started) {
      started = true;
      if (term.subtract) {
        NARTHEX_TRY(const List all, source.AllPostings());
        kept = CopyPostings<Ref>(all);
      } else {
        kept = MergePostings<Ref>(std::span<const List>(lists));
        if (kept.empty()) return kept;
        continue;
      }
    }
    if (term.subtract) {
      // One by one, as long as the lists are few; else one pass over their union.
      if (lists.size() <= 8) {
        for (const List& list : lists) SubtractFrom(&kept, list);
      } else {
        SubtractFrom(&kept, MergePostings<Ref>(std::span<const List>(lists)));
      }
    } else if (lists.size() == 1) {
      IntersectWith(&kept, lists[0]);
    } else {
      IntersectWith(&kept, MergePostings<Ref>(std::span<const List>(lists)));
    }
    if (kept.empty()) return kept;
  }
  if (!started) {
    NARTHEX_TRY(const List all, source.AllPostings());
    kept = CopyPostings<Ref>(all);
  }
  return kept;
}

}  // namespace narthex::tsdb
