// Kinds of deltas that need the whole original: OFT, BOFT, DoRA.
#include <algorithm>
#include <cmath>

#include "delta_parts.h"

namespace nd::lora {
namespace {

constexpr double epsilon = 1.1920928955078125e-07;  // of 32-bit floats, as LyCORIS adds to norms

// Turned by orthogonal blocks (OFT) or butterflies of them (BOFT), scaled row by row where `rescale` is
// given: R W - W, R interpolated towards the identity by m; `scale` is the bound of the blocks' norm, 0:
// none. With the flag a block is R itself (LyCORIS's `oft_diag`).
class TurnDelta : public Delta {
 public:
  TurnDelta(const DeltaSpec& spec, const LoraFile& file, const float* original, size_t columns)
      : columns_(columns), turned_(static_cast<size_t>(spec.rows), columns) {
    const PartSpec& given = part(spec, "blocks");
    const bool butterfly = spec.kind == "boft";
    require(given.shape.size() == (butterfly ? 4U : 3U), spec,
            "its blocks have another number of dimensions");
    const auto size = static_cast<size_t>(given.shape.back());
    const size_t count = size == 0 ? 0 : turned_.rows / size;
    const size_t stages = butterfly ? static_cast<size_t>(given.shape[0]) : 1;
    require(size > 0 && count * size == turned_.rows && elements(given) == stages * count * size * size, spec,
            "its blocks do not cover the rows");
    const std::vector<double> blocks = file.doubles(given);
    const double factor = bound(blocks, size, spec.scale);
    for (size_t i = 0; i < turned_.values.size(); ++i) turned_.values[i] = static_cast<double>(original[i]);
    for (size_t stage = 0; stage < stages; ++stage) {
      const std::vector<size_t> order =
          butterfly ? butterflyOrder(spec, turned_.rows, (size / 2) << stage) : inOrder(turned_.rows);
      turn(spec, blocks.data() + stage * count * size * size, size, factor, order);
    }
    rescale(spec, file);
  }
  void addRow(size_t row, const float* original, double* sums) const override {
    const double* line = turned_.row(row);
    for (size_t c = 0; c < columns_; ++c) sums[c] += line[c] - static_cast<double>(original[c]);
  }

 private:
  static double bound(const std::vector<double>& blocks, size_t size, double most) {
    if (most <= 0) return 1;
    double squares = 0;
    for (size_t at = 0; at < blocks.size(); at += size * size) {
      for (size_t r = 0; r < size; ++r) {
        for (size_t c = 0; c < size; ++c) {
          const double q = blocks[at + r * size + c] - blocks[at + c * size + r];
          squares += q * q;
        }
      }
    }
    const double norm = std::sqrt(squares) + 1e-8;
    return norm > most ? most / norm : 1;
  }

  static std::vector<size_t> inOrder(size_t rows) {
    std::vector<size_t> order(rows);
    for (size_t i = 0; i < rows; ++i) order[i] = i;
    return order;
  }

  // (c, 2, k) read as (c, k, 2).
  static std::vector<size_t> butterflyOrder(const DeltaSpec& spec, size_t rows, size_t k) {
    require(k > 0 && rows % (2 * k) == 0, spec, "its butterflies do not cover the rows");
    std::vector<size_t> order;
    order.reserve(rows);
    for (size_t group = 0; group < rows; group += 2 * k) {
      for (size_t i = 0; i < k; ++i) {
        order.push_back(group + i);
        order.push_back(group + k + i);
      }
    }
    return order;
  }

  // Butterflies turn with R, the others with its transpose.
  static Matrix rotation(const DeltaSpec& spec, const double* block, size_t size, double factor) {
    Matrix made(size, size);
    if (spec.flag)
      std::copy_n(block, size * size, made.values.begin());
    else
      made = cayley(block, size, factor);
    return spec.kind == "boft" ? made : transposed(made);
  }

  void turn(const DeltaSpec& spec, const double* blocks, size_t size, double factor,
            const std::vector<size_t>& order) {
    const double weight = spec.multiplier;
    std::vector<double> lines(size * columns_);
    for (size_t first = 0; first < order.size(); first += size) {
      const Matrix turned = rotation(spec, blocks + first * size, size, factor);
      std::fill(lines.begin(), lines.end(), 0.0);
      for (size_t i = 0; i < size; ++i) {
        for (size_t j = 0; j < size; ++j) {
          const double times = weight * turned.row(i)[j] + (i == j ? 1 - weight : 0);
          const double* from = turned_.row(order[first + j]);
          for (size_t c = 0; c < columns_; ++c) lines[i * columns_ + c] += times * from[c];
        }
      }
      for (size_t i = 0; i < size; ++i)
        std::copy_n(lines.data() + i * columns_, columns_, turned_.row(order[first + i]));
    }
  }

  void rescale(const DeltaSpec& spec, const LoraFile& file) {
    if (!has(spec, "rescale")) return;
    const std::vector<double> scales = file.doubles(part(spec, "rescale"));
    require(scales.size() == turned_.rows, spec, "rescale has another length");
    for (size_t r = 0; r < turned_.rows; ++r) {
      const double scale = spec.multiplier * (scales[r] - 1) + 1;
      for (size_t c = 0; c < columns_; ++c) turned_.row(r)[c] *= scale;
    }
  }

  size_t columns_;
  Matrix turned_;
};

// m (V * d / |V| - W), V = W plus the whole delta; norms of outputs (rows) or of inputs, as the shape of d
// says.
class DoraDelta : public Delta {
 public:
  DoraDelta(const DeltaSpec& spec, const LoraFile& file, const float* original, size_t columns,
            std::unique_ptr<Delta> inner)
      : inner_(std::move(inner)),
        scales_(file.doubles(part(spec, "dora"))),
        line_(columns),
        weight_(spec.multiplier) {
    const auto rows = static_cast<size_t>(spec.rows);
    const PartSpec& given = part(spec, "dora");
    byRow_ = scales_.size() == rows && (given.shape.size() < 2 || given.shape[0] == spec.rows);
    if (byRow_) return;
    require(!scales_.empty() && columns % scales_.size() == 0, spec, "dora_scale has another length");
    std::vector<double> squares(scales_.size());
    kernel_ = columns / scales_.size();
    for (size_t r = 0; r < rows; ++r) {
      whole(r, original + r * columns);
      for (size_t c = 0; c < columns; ++c) squares[c / kernel_] += line_[c] * line_[c];
    }
    for (size_t i = 0; i < scales_.size(); ++i) scales_[i] /= std::sqrt(squares[i]) + epsilon;
  }
  void addRow(size_t row, const float* original, double* sums) const override {
    whole(row, original);
    double scale = 0;
    if (byRow_) {
      double squares = 0;
      for (const double value : line_) squares += value * value;
      scale = scales_[row] / (std::sqrt(squares) + epsilon);
    }
    for (size_t c = 0; c < line_.size(); ++c) {
      const double by = byRow_ ? scale : scales_[c / kernel_];
      sums[c] += weight_ * (line_[c] * by - static_cast<double>(original[c]));
    }
  }

 private:
  void whole(size_t row, const float* original) const {
    for (size_t c = 0; c < line_.size(); ++c) line_[c] = static_cast<double>(original[c]);
    inner_->addRow(row, original, line_.data());
  }

  std::unique_ptr<Delta> inner_;
  std::vector<double> scales_;
  mutable std::vector<double> line_;
  double weight_;
  bool byRow_ = false;
  size_t kernel_ = 1;
};

}  // namespace

std::unique_ptr<Delta> makeTurn(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                size_t columns) {
  return std::make_unique<TurnDelta>(spec, file, original, columns);
}

std::unique_ptr<Delta> makeDora(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                size_t columns, std::unique_ptr<Delta> inner) {
  return std::make_unique<DoraDelta>(spec, file, original, columns, std::move(inner));
}

}  // namespace nd::lora
