// Binary operators between two vectors: matching, grouping, filling.
//
// Series of both sides get the number of their signature (the labels they are matched by). For each
// series of the "many" side the series of the "one" side with its signature is the partner; where a
// signature has several of them, which is allowed as long as they do not meet at a step, they are
// laid over each other. Then pairs of columns are computed at once.
// Specification: parity/promql.md sections 8 and 16.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "promql/engine/binary_elements.h"
#include "promql/engine/evaluator.h"

namespace narthex::promql {
namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();
constexpr size_t kFilled = kNone - 1;

// Of matching an element of a column the slow way, as CancelTicker counts.
constexpr size_t kElementCost = 8;

class VectorMatch {
 public:
  VectorMatch(const BinaryExpr& expr, const VectorValue& lhs, const VectorValue& rhs, size_t steps,
              bool delayed, MemoryHold memory, const Cancellation& cancellation)
      : expr_(expr),
        memory_(std::move(memory)),
        ticker_(cancellation, steps, kElementCost),
        matching_(*expr.matching),
        swapped_(matching_.card == MatchCardinality::kOneToMany),
        one_to_one_(matching_.card == MatchCardinality::kOneToOne),
        many_(swapped_ ? rhs : lhs),
        one_(swapped_ ? lhs : rhs),
        fill_many_(swapped_ ? matching_.fill_right : matching_.fill_left),
        fill_one_(swapped_ ? matching_.fill_left : matching_.fill_right),
        steps_(steps),
        words_((steps + 63) / 64),
        drop_metadata_(ChangesMetric(expr.op) || (expr.return_bool && !delayed)),
        projection_(MatchingProjection(matching_)),
        index_(&projection_),
        problems_(steps, ElementProblem::kNone) {}

  Result<VectorValue> Run() {
    NARTHEX_RETURN_IF_ERROR(Number(many_, &many_sigs_));
    NARTHEX_RETURN_IF_ERROR(Number(one_, &one_sigs_));
    FindActiveSteps();
    NARTHEX_RETURN_IF_ERROR(LayPartners());
    std::vector<size_t> series_of_sig(index_.size());
    for (const size_t sig : many_sigs_) ++series_of_sig[sig];
    matched_.resize(index_.size());
    for (size_t sig = 0; sig < index_.size(); ++sig) {
      // Only where a second match could come, or a missing one be filled.
      if (series_of_sig[sig] > 1 || fill_many_.has_value()) matched_[sig].resize(words_);
    }
    // Even with duplicates on the one side: a match at an earlier step may fail before them.
    Status status;
    for (size_t i = 0; i < many_.size() && status.ok(); ++i) {
      NARTHEX_RETURN_IF_ERROR(ticker_.Tick());
      status = MatchSeries(i);
    }
    if (fill_many_.has_value()) {
      for (size_t i = 0; i < one_.size() && status.ok(); ++i) {
        NARTHEX_RETURN_IF_ERROR(ticker_.Tick());
        status = FillMissing(i);
      }
    }
    NARTHEX_RETURN_IF_ERROR(error_);
    NARTHEX_RETURN_IF_ERROR(std::move(status));
    return std::move(output_);
  }

  void Annotate(Annotations* annotations) const {
    for (const ElementProblem problem : problems_) {
      promql::Annotate(problem, expr_.op, expr_.position, annotations);
    }
  }

 private:
  // The elements of the "one" side with one signature, over the steps.
  struct Partner {
    size_t only = kNone;         // The one series, or
    std::vector<size_t> owners;  // which series at each step.

    size_t At(const VectorValue& one, size_t step) const {
      if (!owners.empty()) return owners[step];
      return only != kNone && one[only].column.has(step) ? only : kNone;
    }
  };

  Status Number(const VectorValue& vector, std::vector<size_t>* signatures) {
    signatures->reserve(vector.size());
    for (const VectorSeries& series : vector) {
      NARTHEX_RETURN_IF_ERROR(ticker_.Tick());
      signatures->push_back(index_.Add(series.labels));
    }
    return {};
  }

  bool active(size_t step) const { return (active_[step / 64] >> (step % 64) & 1) != 0; }

  // A step where one side has no element at all matches nothing, and so can have no conflict.
  void FindActiveSteps() {
    std::vector<uint64_t> many(words_);
    std::vector<uint64_t> one(words_);
    const auto mark = [this](const VectorValue& vector, std::vector<uint64_t>* bits) {
      for (const VectorSeries& series : vector) {
        for (size_t w = 0; w < words_; ++w) (*bits)[w] |= series.column.present()[w];
      }
    };
    mark(many_, &many);
    mark(one_, &one);
    const bool fills = fill_many_.has_value() || fill_one_.has_value();
    active_.resize(words_);
    for (size_t w = 0; w < words_; ++w) active_[w] = fills ? many[w] | one[w] : many[w] & one[w];
  }

  // Remembers the error of the earliest step.
  void Fail(size_t step, std::string message) {
    if (!error_.ok() && error_step_ <= step) return;
    error_ = Status(ErrorCode::kExecution, std::move(message));
    error_step_ = step;
  }

  Status LayPartners() {
    partners_.resize(index_.size());
    for (size_t i = 0; i < one_.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(ticker_.Tick());
      Partner& partner = partners_[one_sigs_[i]];
      if (partner.only == kNone && partner.owners.empty()) {
        partner.only = i;
        continue;
      }
      if (partner.owners.empty()) {
        NARTHEX_RETURN_IF_ERROR(memory_.Grow(steps_ * sizeof(size_t)));
        partner.owners.assign(steps_, kNone);
        one_[partner.only].column.ForEach([&](size_t s) { partner.owners[s] = partner.only; });
      }
      one_[i].column.ForEach([&](size_t step) {
        size_t& owner = partner.owners[step];
        if (owner == kNone) {
          owner = i;
        } else if (active(step)) {
          std::string a = one_[i].labels.ToString();
          std::string b = one_[owner].labels.ToString();
          if (b < a) std::swap(a, b);
          Fail(step,
               fmt::format("found duplicate series for the match group {} on the {} hand-side of "
                           "the operation: [{}, {}];many-to-many matching not allowed: matching "
                           "labels must be unique on one side",
                           projection_.Project(one_[i].labels).ToString(),
                           swapped_ ? "left" : "right", a, b));
        }
      });
    }
    return {};
  }

  // The labels of a result: those of the "many" side, as the matching changes them.
  Labels ResultLabels(const Labels& many, const Labels& one) const {
    Labels base = drop_metadata_ ? DropMetadata(many) : many;
    if (one_to_one_) {
      std::vector<std::string> names = matching_.labels;
      std::sort(names.begin(), names.end());
      base = matching_.on ? base.Keep(names) : base.Without(names, /*drop_name=*/false);
    }
    if (matching_.include.empty()) return base;
    LabelsBuilder builder(std::move(base));
    for (const std::string& name : matching_.include) builder.Set(name, one.Get(name));
    return builder.Build();
  }

  Result<ElementResult> Apply(double many, const HistogramPtr& many_histogram, double one,
                              const HistogramPtr& one_histogram) const {
    if (swapped_) return ApplyElement(expr_.op, one, one_histogram, many, many_histogram);
    return ApplyElement(expr_.op, many, many_histogram, one, one_histogram);
  }

  // One element against another: into `out`. False: a problem dropped it before it could count as
  // a match.
  Result<bool> ApplyAt(size_t step, double many, const HistogramPtr& many_histogram, double one,
                       const HistogramPtr& one_histogram, StepColumn* out) {
    NARTHEX_TRY(ElementResult result, Apply(many, many_histogram, one, one_histogram));
    if (result.problem != ElementProblem::kNone) problems_[step] = result.problem;
    if (result.failed) return false;
    if (expr_.return_bool) {
      out->Set(step, result.keep ? 1 : 0);
    } else if (result.keep) {
      if (result.histogram != nullptr) {
        out->SetHistogram(step, std::move(result.histogram));
      } else {
        out->Set(step, result.value);
      }
    }
    return true;
  }

  // Notes that the signature matched at the step; an error when it may match only once.
  void MarkOneToOne(size_t sig, size_t step) {
    if (matched_[sig].empty()) return;
    uint64_t& word = matched_[sig][step / 64];
    const uint64_t bit = uint64_t{1} << (step % 64);
    if ((word & bit) != 0) {
      Fail(step,
           "multiple matches for labels: many-to-one matching must be explicit "
           "(group_left/group_right)");
    }
    word |= bit;
  }

  // In many-to-one matching results with one signature must differ in their labels.
  void MarkManyToOne(size_t sig, size_t step, uint64_t labels_hash) {
    if (matched_[sig].empty()) return;
    matched_[sig][step / 64] |= uint64_t{1} << (step % 64);
    std::vector<uint64_t>& steps = matched_labels_[sig][labels_hash];
    steps.resize(words_);
    const uint64_t bit = uint64_t{1} << (step % 64);
    if ((steps[step / 64] & bit) != 0) {
      Fail(step, "multiple matches for labels: grouping labels must ensure unique matches");
    }
    steps[step / 64] |= bit;
  }

  void Mark(size_t sig, size_t step, uint64_t labels_hash) {
    if (one_to_one_) {
      MarkOneToOne(sig, step);
    } else {
      MarkManyToOne(sig, step, labels_hash);
    }
  }

  // Two float columns at once.
  void MatchFloats(const StepColumn& many, const StepColumn& one, StepColumn* out) const {
    const double* l = swapped_ ? one.values() : many.values();
    const double* r = swapped_ ? many.values() : one.values();
    double* to = out->values();
    for (size_t w = 0; w < words_; ++w) {
      out->present()[w] = many.present()[w] & one.present()[w];
    }
    if (!IsComparison(expr_.op)) {
      WithArithmetic(expr_.op, [&](auto fn) {
        for (size_t i = 0; i < steps_; ++i) to[i] = fn(l[i], r[i]);
      });
      return;
    }
    WithComparison(expr_.op, [&](auto fn) {
      for (size_t w = 0; w < words_; ++w) {
        uint64_t verdicts = 0;
        const size_t end = std::min(steps_ - w * 64, size_t{64});
        for (size_t i = 0; i < end; ++i) {
          const size_t step = w * 64 + i;
          const bool verdict = fn(l[step], r[step]);
          verdicts |= uint64_t{verdict} << i;
          to[step] = expr_.return_bool ? (verdict ? 1 : 0) : l[step];
        }
        if (!expr_.return_bool) out->present()[w] &= verdicts;
      }
    });
  }

  bool IsTrim() const {
    return expr_.op == BinaryOp::kTrimUpper || expr_.op == BinaryOp::kTrimLower;
  }

  Status MatchSeries(size_t i) {
    const VectorSeries& many = many_[i];
    const size_t sig = many_sigs_[i];
    const Partner& partner = partners_[sig];
    const bool tracked = !matched_[sig].empty();
    if (partner.only == kNone && !fill_one_.has_value()) return {};
    if (partner.owners.empty() && partner.only != kNone && !fill_one_.has_value() && !tracked &&
        !IsTrim() && !many.column.has_histograms() && !one_[partner.only].column.has_histograms()) {
      StepColumn column(steps_);
      MatchFloats(many.column, one_[partner.only].column, &column);
      return Emit(ResultLabels(many.labels, one_[partner.only].labels), std::move(column));
    }
    // Included labels follow the partner, which may change from step to step.
    struct Part {
      size_t partner;
      Labels labels;
      uint64_t hash;
      StepColumn column;
    };
    std::vector<Part> parts;
    const Labels filled = projection_.Project(many.labels);
    Status status;
    many.column.ForEach([&](size_t step) {
      if (!status.ok() || !active(step)) return;
      size_t at = partner.At(one_, step);
      if (at == kNone) {
        if (!fill_one_.has_value()) return;
        at = kFilled;
      }
      auto part = std::find_if(parts.begin(), parts.end(),
                               [at](const Part& candidate) { return candidate.partner == at; });
      if (part == parts.end()) {
        Labels labels = ResultLabels(many.labels, at == kFilled ? filled : one_[at].labels);
        const uint64_t hash = labels.Hash();
        parts.push_back({at, std::move(labels), hash, StepColumn(steps_)});
        part = parts.end() - 1;
      }
      const Result<bool> matched =
          at == kFilled ? ApplyAt(step, many.column.value(step), many.column.histogram(step),
                                  *fill_one_, nullptr, &part->column)
                        : ApplyAt(step, many.column.value(step), many.column.histogram(step),
                                  one_[at].column.value(step), one_[at].column.histogram(step),
                                  &part->column);
      if (!matched.ok()) {
        status = matched.status();
      } else if (*matched) {
        Mark(sig, step, part->hash);
      }
    });
    NARTHEX_RETURN_IF_ERROR(status);
    for (Part& part : parts) {
      NARTHEX_RETURN_IF_ERROR(Emit(std::move(part.labels), std::move(part.column)));
    }
    return {};
  }

  // Elements of the "one" side that found no match meet the fill value.
  Status FillMissing(size_t i) {
    const VectorSeries& one = one_[i];
    const size_t sig = one_sigs_[i];
    const Labels match_labels = projection_.Project(one.labels);
    const Labels labels = ResultLabels(match_labels, one.labels);
    const uint64_t hash = labels.Hash();
    StepColumn column(steps_);
    Status status;
    one.column.ForEach([&](size_t step) {
      if (!status.ok() || (matched_[sig][step / 64] >> (step % 64) & 1) != 0) return;
      const Result<bool> matched = ApplyAt(step, *fill_many_, nullptr, one.column.value(step),
                                           one.column.histogram(step), &column);
      if (!matched.ok()) {
        status = matched.status();
      } else if (*matched) {
        Mark(sig, step, hash);
      }
    });
    NARTHEX_RETURN_IF_ERROR(status);
    return Emit(labels, std::move(column));
  }

  Status Emit(Labels labels, StepColumn column) {
    if (column.empty()) return {};
    if (memory_.counting()) NARTHEX_RETURN_IF_ERROR(memory_.Grow(MemoryOf(column)));
    output_.push_back({std::move(labels), expr_.return_bool, std::move(column)});
    return {};
  }

  const BinaryExpr& expr_;
  MemoryHold memory_;  // Of output_ and the tables.
  CancelTicker ticker_;
  const VectorMatching& matching_;
  const bool swapped_;
  const bool one_to_one_;
  const VectorValue& many_;
  const VectorValue& one_;
  const std::optional<double> fill_many_;
  const std::optional<double> fill_one_;
  const size_t steps_;
  const size_t words_;
  const bool drop_metadata_;
  const LabelProjection projection_;
  ProjectionIndex index_;
  std::vector<size_t> many_sigs_;
  std::vector<size_t> one_sigs_;
  std::vector<uint64_t> active_;
  std::vector<Partner> partners_;
  // By signature: at which steps it matched; many-to-one also with which labels.
  std::vector<std::vector<uint64_t>> matched_;
  std::unordered_map<size_t, std::unordered_map<uint64_t, std::vector<uint64_t>>> matched_labels_;
  std::vector<ElementProblem> problems_;
  VectorValue output_;
  Status error_;
  size_t error_step_ = 0;
};

}  // namespace

Result<Value> Evaluator::BinaryVectors(const BinaryExpr& expr) {
  const int64_t before = query_->current_samples;
  NARTHEX_TRY(const Value lhs, Eval(*expr.lhs));
  NARTHEX_TRY(const Value rhs, Eval(*expr.rhs));
  VectorMatch match(expr, lhs.vector, rhs.vector, steps_, query_->delayed_name_removal,
                    HoldMemory(), query_->cancellation);
  NARTHEX_TRY(VectorValue output, match.Run());
  match.Annotate(&query_->annotations);
  const VectorValue* const inputs[] = {&lhs.vector, &rhs.vector};
  return FinishVector(std::move(output), before, inputs, 0);
}

}  // namespace narthex::promql
