#include "matrix.h"

#include <algorithm>
#include <cmath>

namespace nd::lora {

Matrix transposed(const Matrix& matrix) {
  Matrix result(matrix.columns, matrix.rows);
  for (size_t r = 0; r < matrix.rows; ++r) {
    for (size_t c = 0; c < matrix.columns; ++c) result.row(c)[r] = matrix.row(r)[c];
  }
  return result;
}

Matrix product(const Matrix& left, const Matrix& right) {
  Matrix result(left.rows, right.columns);
  for (size_t r = 0; r < left.rows; ++r) {
    double* sums = result.row(r);
    for (size_t k = 0; k < left.columns; ++k) {
      const double factor = left.row(r)[k];
      const double* from = right.row(k);
      for (size_t c = 0; c < right.columns; ++c) sums[c] += factor * from[c];
    }
  }
  return result;
}

// Solves (I - q)^T x = (I + q)^T, since (I + q)(I - q)^-1 = r means (I - q)^T r^T = (I + q)^T.
Matrix cayley(const double* block, size_t size, double factor) {
  Matrix left(size, size);
  Matrix right(size, size);
  for (size_t r = 0; r < size; ++r) {
    for (size_t c = 0; c < size; ++c) {
      const double q = (block[c * size + r] - block[r * size + c]) * factor;  // transposed
      const double one = r == c ? 1 : 0;
      left.row(r)[c] = one - q;
      right.row(r)[c] = one + q;
    }
  }
  for (size_t step = 0; step < size; ++step) {
    size_t best = step;
    for (size_t r = step + 1; r < size; ++r) {
      if (std::abs(left.row(r)[step]) > std::abs(left.row(best)[step])) best = r;
    }
    if (best != step) {
      std::swap_ranges(left.row(step), left.row(step) + size, left.row(best));
      std::swap_ranges(right.row(step), right.row(step) + size, right.row(best));
    }
    const double pivot = left.row(step)[step];
    for (size_t c = 0; c < size; ++c) {
      left.row(step)[c] /= pivot;
      right.row(step)[c] /= pivot;
    }
    for (size_t r = 0; r < size; ++r) {
      const double times = left.row(r)[step];
      if (r == step || times == 0) continue;
      for (size_t c = 0; c < size; ++c) {
        left.row(r)[c] -= times * left.row(step)[c];
        right.row(r)[c] -= times * right.row(step)[c];
      }
    }
  }
  return transposed(right);
}

}  // namespace nd::lora
