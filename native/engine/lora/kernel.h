// The hot loops: a matrix plus a product of low rank, rounded once. The widest form that the processor has is
// chosen at run time. Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nd::lora {

// to[r][c] = round(from[r][c] + sum over k of up[r][k] * down[k][c]), row-major, `from` and `to` may be the
// same. The sum runs from the first k to the last for every element, whatever the block, so blocks and
// threads do not show in the result.
void mergeHalf(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank, const float* up,
               const float* down);
void mergeBrainHalf(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank,
                    const float* up, const float* down);
void mergeFloat(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank, const float* up,
                const float* down);
// A float has no bits to spare for the errors of a sum in floats: summed in doubles.
void mergeFloatExact(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank,
                     const double* up, const double* down);

// A copy that does not go through the caches: for bytes that are not looked at again soon.
void streamCopy(const uint8_t* from, uint8_t* to, size_t count);

void halvesToFloats(const uint8_t* from, float* to, size_t count);

}  // namespace nd::lora
