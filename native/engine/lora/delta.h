// The formulas of the kinds of deltas, in doubles, row by row. Low-rank deltas of narrow types take the
// faster way of kernel.h.
#pragma once

#include <memory>
#include <vector>

#include "lora_file.h"
#include "spec.h"

namespace nd::lora {

// One delta of one tensor, ready to be added. Belongs to one thread.
class Delta {
 public:
  virtual ~Delta() = default;
  // Adds row `row` of the change, counted within the delta's own rows; `original` is that row of the
  // original.
  virtual void addRow(size_t row, const float* original, double* sums) const = 0;
};

// `original`: all rows that the delta changes, `columns` wide. Throws EngineError (ModelCorrupt) where the
// parts do not fit that shape.
std::unique_ptr<Delta> makeDelta(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                 size_t columns);

// Factors of a plain low-rank delta: up (rows x rank, with weight and scale) and down (rank x columns).
// `Number`: float or double.
template <typename Number>
struct LowRank {
  size_t rank = 0;
  std::vector<Number> up, down;
};
bool isLowRank(const DeltaSpec& spec);
template <typename Number>
LowRank<Number> lowRankOf(const DeltaSpec& spec, const LoraFile& file, size_t columns);

}  // namespace nd::lora
