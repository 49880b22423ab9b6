#include "delta.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "delta_parts.h"

// Names: W the original (rows x columns, a convolution's kernel being part of the columns), m the weight that
// the user gave, s = alpha / rank. Every formula is the change of W.
namespace nd::lora {
namespace {

// core [i, j, kernel], right [j, columns] -> [i, columns x kernel].
Matrix contract(const DeltaSpec& spec, const Matrix& core, const Matrix& right) {
  require(right.rows > 0 && core.columns % right.rows == 0, spec, "the core has another rank");
  const size_t kernel = core.columns / right.rows;
  Matrix result(core.rows, right.columns * kernel);
  for (size_t i = 0; i < core.rows; ++i) {
    double* sums = result.row(i);
    for (size_t j = 0; j < right.rows; ++j) {
      const double* factors = core.row(i) + j * kernel;
      for (size_t c = 0; c < right.columns; ++c) {
        const double value = right.row(j)[c];
        for (size_t k = 0; k < kernel; ++k) sums[c * kernel + k] += factors[k] * value;
      }
    }
  }
  return result;
}

// left (rows x rank) right (rank x columns), a row at a time.
struct Factors {
  Matrix left, right;

  void row(size_t index, double* out) const {
    for (size_t c = 0; c < right.columns; ++c) out[c] = 0;
    for (size_t k = 0; k < left.columns; ++k) {
      const double factor = left.row(index)[k];
      const double* from = right.row(k);
      for (size_t c = 0; c < right.columns; ++c) out[c] += factor * from[c];
    }
  }
};

// a b, or with a core (Tucker) a^T (core b).
Factors factors(const DeltaSpec& spec, const LoraFile& file, const char* a, const char* b, const char* core) {
  Factors result;
  result.left = matrixOf(spec, file, a);
  result.right = matrixOf(spec, file, b);
  if (has(spec, core)) {
    result.right = contract(spec, matrixOf(spec, file, core), result.right);
    result.left = transposed(result.left);
  }
  require(result.left.columns == result.right.rows, spec, "its factors have different ranks");
  return result;
}

void checkSize(const DeltaSpec& spec, size_t rows, size_t columns, size_t wanted) {
  require(rows == static_cast<size_t>(spec.rows) && columns == wanted, spec, "its shape is another");
}

// m s (up down), with a core up (core down).
Factors loraFactors(const DeltaSpec& spec, const LoraFile& file, size_t columns) {
  Factors result;
  result.left = matrixOf(spec, file, "up");
  result.right = matrixOf(spec, file, "down");
  if (has(spec, "mid")) result.right = contract(spec, matrixOf(spec, file, "mid"), result.right);
  require(result.left.columns == result.right.rows, spec, "up and down have different ranks");
  checkSize(spec, result.left.rows, result.right.columns, columns);
  const auto rank = static_cast<size_t>(spec.rank);
  if (rank > 0 && rank < result.left.columns) {
    Matrix cut(result.left.rows, rank);
    for (size_t r = 0; r < cut.rows; ++r) {
      for (size_t k = 0; k < rank; ++k) cut.row(r)[k] = result.left.row(r)[k];
    }
    result.left = std::move(cut);
    result.right.rows = rank;
    result.right.values.resize(rank * result.right.columns);
  }
  return result;
}

class LoraDelta : public Delta {
 public:
  LoraDelta(const DeltaSpec& spec, const LoraFile& file, size_t columns)
      : factors_(loraFactors(spec, file, columns)), line_(columns), factor_(spec.multiplier * spec.scale) {}
  void addRow(size_t row, const float* /*original*/, double* sums) const override {
    factors_.row(row, line_.data());
    for (size_t c = 0; c < line_.size(); ++c) sums[c] += factor_ * line_[c];
  }

 private:
  Factors factors_;
  mutable std::vector<double> line_;
  double factor_;
};

// m s (w1a w1b) * (w2a w2b), element by element.
class LohaDelta : public Delta {
 public:
  LohaDelta(const DeltaSpec& spec, const LoraFile& file, size_t columns)
      : one_(factors(spec, file, "w1_a", "w1_b", "t1")),
        two_(factors(spec, file, "w2_a", "w2_b", "t2")),
        first_(columns),
        second_(columns),
        factor_(spec.multiplier * spec.scale) {
    checkSize(spec, one_.left.rows, one_.right.columns, columns);
    checkSize(spec, two_.left.rows, two_.right.columns, columns);
  }
  void addRow(size_t row, const float* /*original*/, double* sums) const override {
    one_.row(row, first_.data());
    two_.row(row, second_.data());
    for (size_t c = 0; c < first_.size(); ++c) sums[c] += factor_ * first_[c] * second_[c];
  }

 private:
  Factors one_, two_;
  mutable std::vector<double> first_, second_;
  double factor_;
};

// m s (w1 kron w2), each whole or as a product.
class LokrDelta : public Delta {
 public:
  LokrDelta(const DeltaSpec& spec, const LoraFile& file, size_t columns)
      : one_(whole(spec, file, "w1", "w1_a", "w1_b", "")),
        two_(whole(spec, file, "w2", "w2_a", "w2_b", "t2")),
        factor_(spec.multiplier * spec.scale) {
    checkSize(spec, one_.rows * two_.rows, one_.columns * two_.columns, columns);
  }
  void addRow(size_t row, const float* /*original*/, double* sums) const override {
    const double* ones = one_.row(row / two_.rows);
    const double* twos = two_.row(row % two_.rows);
    for (size_t i = 0; i < one_.columns; ++i) {
      const double value = factor_ * ones[i];
      for (size_t j = 0; j < two_.columns; ++j) sums[i * two_.columns + j] += value * twos[j];
    }
  }

 private:
  static Matrix whole(const DeltaSpec& spec, const LoraFile& file, const char* name, const char* a,
                      const char* b, const char* core) {
    if (has(spec, name)) return matrixOf(spec, file, name);
    const Factors made = factors(spec, file, a, b, core);
    return product(made.left, made.right);
  }

  Matrix one_, two_;
  double factor_;
};

// m diff; of weights, biases and norms.
class FullDelta : public Delta {
 public:
  FullDelta(const DeltaSpec& spec, const LoraFile& file, size_t columns)
      : diff_(file.floats(part(spec, "diff"))), columns_(columns), factor_(spec.multiplier * spec.scale) {
    require(diff_.size() == static_cast<size_t>(spec.rows) * columns, spec, "its shape is another");
  }
  void addRow(size_t row, const float* /*original*/, double* sums) const override {
    for (size_t c = 0; c < columns_; ++c) sums[c] += factor_ * static_cast<double>(diff_[row * columns_ + c]);
  }

 private:
  std::vector<float> diff_;
  size_t columns_;
  double factor_;
};

// m W * w, a factor for each input or each output.
class Ia3Delta : public Delta {
 public:
  Ia3Delta(const DeltaSpec& spec, const LoraFile& file, size_t columns)
      : weights_(file.doubles(part(spec, "weight"))),
        columns_(columns),
        onInput_(spec.flag),
        factor_(spec.multiplier) {
    const size_t count = weights_.size();
    const bool fits = onInput_ ? count > 0 && columns % count == 0 : count == static_cast<size_t>(spec.rows);
    require(fits, spec, "its length is another");
  }
  void addRow(size_t row, const float* original, double* sums) const override {
    const size_t kernel = onInput_ ? columns_ / weights_.size() : 1;
    for (size_t c = 0; c < columns_; ++c)
      sums[c] +=
          factor_ * static_cast<double>(original[c]) * (onInput_ ? weights_[c / kernel] : weights_[row]);
  }

 private:
  std::vector<double> weights_;
  size_t columns_;
  bool onInput_;
  double factor_;
};

// m s (b1 b2 + (W a1) a2), the inputs of W mixed and its kernel left alone; the older order: b2 b1 + (W a2)
// a1.
class GloraDelta : public Delta {
 public:
  GloraDelta(const DeltaSpec& spec, const LoraFile& file, size_t columns)
      : columns_(columns), factor_(spec.multiplier * spec.scale), line_(columns) {
    in_ = matrixOf(spec, file, spec.flag ? "a2" : "a1");
    out_ = matrixOf(spec, file, spec.flag ? "a1" : "a2");
    add_.left = matrixOf(spec, file, spec.flag ? "b2" : "b1");
    add_.right = matrixOf(spec, file, spec.flag ? "b1" : "b2");
    require(add_.left.columns == add_.right.rows, spec, "b1 and b2 have different ranks");
    checkSize(spec, add_.left.rows, add_.right.columns, columns);
    require(in_.columns == out_.rows && in_.rows == out_.columns && in_.rows > 0 && columns % in_.rows == 0,
            spec, "a1 and a2 do not fit its inputs");
  }
  void addRow(size_t row, const float* original, double* sums) const override {
    add_.row(row, line_.data());
    for (size_t c = 0; c < columns_; ++c) sums[c] += factor_ * line_[c];
    const size_t kernel = columns_ / in_.rows;
    std::vector<double> mixed(in_.columns);
    for (size_t k = 0; k < kernel; ++k) {
      std::fill(mixed.begin(), mixed.end(), 0.0);
      for (size_t i = 0; i < in_.rows; ++i) {
        const auto value = static_cast<double>(original[i * kernel + k]);
        for (size_t j = 0; j < mixed.size(); ++j) mixed[j] += value * in_.row(i)[j];
      }
      for (size_t i = 0; i < out_.columns; ++i) {
        double sum = 0;
        for (size_t j = 0; j < mixed.size(); ++j) sum += mixed[j] * out_.row(j)[i];
        sums[i * kernel + k] += factor_ * sum;
      }
    }
  }

 private:
  size_t columns_;
  double factor_;
  mutable std::vector<double> line_;
  Matrix in_, out_;
  Factors add_;
};

std::unique_ptr<Delta> makePlain(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                 size_t columns) {
  if (spec.kind == "lora") return std::make_unique<LoraDelta>(spec, file, columns);
  if (spec.kind == "loha") return std::make_unique<LohaDelta>(spec, file, columns);
  if (spec.kind == "lokr") return std::make_unique<LokrDelta>(spec, file, columns);
  if (spec.kind == "full") return std::make_unique<FullDelta>(spec, file, columns);
  if (spec.kind == "ia3") return std::make_unique<Ia3Delta>(spec, file, columns);
  if (spec.kind == "glora") return std::make_unique<GloraDelta>(spec, file, columns);
  if (spec.kind == "oft" || spec.kind == "boft") return makeTurn(spec, file, original, columns);
  throw EngineError(ErrorCode::InvalidOption, "There is no kind of delta \"" + spec.kind + "\".");
}

}  // namespace

std::unique_ptr<Delta> makeDelta(const DeltaSpec& spec, const LoraFile& file, const float* original,
                                 size_t columns) {
  if (!has(spec, "dora")) return makePlain(spec, file, original, columns);
  DeltaSpec inner = spec;
  inner.multiplier = 1;
  return makeDora(spec, file, original, columns, makePlain(inner, file, original, columns));
}

bool isLowRank(const DeltaSpec& spec) { return spec.kind == "lora" && !has(spec, "dora"); }

template <typename Number>
LowRank<Number> lowRankOf(const DeltaSpec& spec, const LoraFile& file, size_t columns) {
  const double factor = spec.multiplier * spec.scale;
  LowRank<Number> result;
  if constexpr (std::is_same_v<Number, float>) {
    const PartSpec& given = part(spec, "up");
    const auto rows = static_cast<size_t>(spec.rows);
    const bool plain = !has(spec, "mid") && rows > 0 && elements(given) % rows == 0 &&
                       (spec.rank <= 0 || elements(given) == rows * static_cast<size_t>(spec.rank));
    if (plain) {  // no detour through doubles
      result.rank = elements(given) / rows;
      result.up = file.floats(given);
      result.down = file.floats(part(spec, "down"));
      checkSize(spec, rows, result.rank == 0 ? 0 : result.down.size() / result.rank, columns);
      require(result.down.size() == result.rank * columns, spec, "up and down have different ranks");
      for (float& value : result.up) value = static_cast<float>(static_cast<double>(value) * factor);
      return result;
    }
  }
  const Factors made = loraFactors(spec, file, columns);
  result.rank = made.right.rows;
  result.up.reserve(made.left.values.size());
  for (const double value : made.left.values) result.up.push_back(static_cast<Number>(value * factor));
  result.down.assign(made.right.values.begin(), made.right.values.end());
  return result;
}

template LowRank<float> lowRankOf<float>(const DeltaSpec&, const LoraFile&, size_t);
template LowRank<double> lowRankOf<double>(const DeltaSpec&, const LoraFile&, size_t);

}  // namespace nd::lora
