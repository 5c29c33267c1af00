// One view of several stores: series merged by labels, samples by time.
//
// Where two stores have a sample of the same time, the store named first wins. When the samples of
// a histogram series alternate between stores, the reset hint of the first one after a switch says
// nothing about its new neighbour and becomes unknown (a gauge stays a gauge).
//
// Cost: a sorted select is a k-way merge that holds one series a store; an unsorted one of a single
// store passes through.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/storage.h"

namespace narthex::storage {

// Owns the queriers. With one querier this is that querier.
std::unique_ptr<Querier> MergeQueriers(std::vector<std::unique_ptr<Querier>> queriers);

// The sets are sorted by labels.
std::unique_ptr<SeriesSet> MergeSeriesSets(std::vector<std::unique_ptr<SeriesSet>> sets);

// Appends the samples of `parts` (each ascending) in ascending order to `out`.
void MergeColumns(const std::vector<SampleColumns>& parts, SampleColumns* out);

// An empty store, and an empty result.
std::unique_ptr<Querier> EmptyQuerier();
std::unique_ptr<SeriesSet> EmptySeriesSet();

}  // namespace narthex::storage
