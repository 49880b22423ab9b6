// Small dense matrices of doubles, row-major, and the few operations that the kinds of deltas need.
#pragma once

#include <cstddef>
#include <vector>

namespace nd::lora {

struct Matrix {
  size_t rows = 0, columns = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(size_t theRows, size_t theColumns) : rows(theRows), columns(theColumns), values(rows * columns) {}
  double* row(size_t index) { return values.data() + index * columns; }
  const double* row(size_t index) const { return values.data() + index * columns; }
};

Matrix transposed(const Matrix& matrix);
Matrix product(const Matrix& left, const Matrix& right);
// (I + q) (I - q)^-1 with q = block - block^T times `factor`: orthogonal, by elimination with pivots.
Matrix cayley(const double* block, size_t size, double factor);

}  // namespace nd::lora
