#include "kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ggml.h"
#include "wide.h"

namespace nd::lora {
namespace {

constexpr size_t tileColumns = 256;  // the part of `down` under a tile stays in the first-level cache

struct Half {
  static constexpr size_t bytes = 2;
  static float one(const uint8_t* at) {
    ggml_fp16_t bits = 0;
    std::memcpy(&bits, at, bytes);
    return ggml_fp16_to_fp32(bits);
  }
  static void put(uint8_t* at, float value) {
    const ggml_fp16_t bits = ggml_fp32_to_fp16(value);
    std::memcpy(at, &bits, bytes);
  }
};

struct BrainHalf {
  static constexpr size_t bytes = 2;
  static float one(const uint8_t* at) {
    ggml_bf16_t bits{};
    std::memcpy(&bits, at, bytes);
    return ggml_bf16_to_fp32(bits);
  }
  static void put(uint8_t* at, float value) {
    const ggml_bf16_t bits = ggml_fp32_to_bf16(value);
    std::memcpy(at, &bits, bytes);
  }
};

struct Float {
  static constexpr size_t bytes = 4;
  static float one(const uint8_t* at) {
    float value = 0;
    std::memcpy(&value, at, bytes);
    return value;
  }
  static void put(uint8_t* at, float value) { std::memcpy(at, &value, bytes); }
};

template <typename Stored, typename Number>
void mergePlain(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank, const Number* up,
                const Number* down) {
  for (size_t first = 0; first < columns; first += tileColumns) {
    const size_t width = std::min(tileColumns, columns - first);
    for (size_t r = 0; r < rows; ++r) {
      Number sums[tileColumns];
      const size_t at = (r * columns + first) * Stored::bytes;
      for (size_t c = 0; c < width; ++c) sums[c] = Stored::one(from + at + c * Stored::bytes);
      for (size_t k = 0; k < rank; ++k) {
        const Number factor = up[r * rank + k];
        const Number* row = down + k * columns + first;
        for (size_t c = 0; c < width; ++c) sums[c] += factor * row[c];
      }
      for (size_t c = 0; c < width; ++c)
        Stored::put(to + at + c * Stored::bytes, static_cast<float>(sums[c]));
    }
  }
}

#ifdef ND_AVX2

struct Floats8 {
  using Number = float;
  using Vector = __m256;
  static constexpr size_t lanes = 8;
  ND_AVX2_INLINE static Vector all(float value) { return _mm256_set1_ps(value); }
  ND_AVX2_INLINE static Vector load(const float* at) { return _mm256_loadu_ps(at); }
  ND_AVX2_INLINE static Vector addProduct(Vector a, Vector b, Vector sum) {
    return _mm256_fmadd_ps(a, b, sum);
  }
};

struct Doubles4 {
  using Number = double;
  using Vector = __m256d;
  static constexpr size_t lanes = 4;
  ND_AVX2_INLINE static Vector all(double value) { return _mm256_set1_pd(value); }
  ND_AVX2_INLINE static Vector load(const double* at) { return _mm256_loadu_pd(at); }
  ND_AVX2_INLINE static Vector addProduct(Vector a, Vector b, Vector sum) {
    return _mm256_fmadd_pd(a, b, sum);
  }
};

struct HalfIo : Half, Floats8 {
  ND_AVX2_INLINE static Vector read(const uint8_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
  ND_AVX2_INLINE static void write(uint8_t* at, Vector value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
};

struct BrainHalfIo : BrainHalf, Floats8 {
  ND_AVX2_INLINE static Vector read(const uint8_t* at) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  // To nearest, ties to even, as ggml; not-a-numbers keep a bit set so that they stay what they are.
  ND_AVX2_INLINE static void write(uint8_t* at, Vector value) {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(64));
    const __m256 isNan = _mm256_cmp_ps(value, value, _CMP_UNORD_Q);
    const __m256i chosen = _mm256_castps_si256(
        _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), isNan));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(chosen, chosen), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm256_castsi256_si128(packed));
  }
};

struct FloatIo : Float, Floats8 {
  ND_AVX2_INLINE static Vector read(const uint8_t* at) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(at));
  }
  ND_AVX2_INLINE static void write(uint8_t* at, Vector value) {
    _mm256_storeu_ps(reinterpret_cast<float*>(at), value);
  }
};

struct FloatExactIo : Float, Doubles4 {
  ND_AVX2_INLINE static Vector read(const uint8_t* at) {
    return _mm256_cvtps_pd(_mm_loadu_ps(reinterpret_cast<const float*>(at)));
  }
  ND_AVX2_INLINE static void write(uint8_t* at, Vector value) {
    _mm_storeu_ps(reinterpret_cast<float*>(at), _mm256_cvtpd_ps(value));
  }
};

// `Rows` rows and two vectors of columns at a time, all sums in registers.
template <typename Io, size_t Rows>
ND_AVX2_INLINE void mergeBlock(const uint8_t* from, uint8_t* to, size_t columns, size_t first, size_t end,
                               size_t rank, const typename Io::Number* up, const typename Io::Number* down) {
  using Vector = typename Io::Vector;
  using Number = typename Io::Number;
  constexpr size_t lanes = Io::lanes;
  size_t c = first;
  for (; c + 2 * lanes <= end; c += 2 * lanes) {
    Vector low[Rows];
    Vector high[Rows];
    for (size_t r = 0; r < Rows; ++r) {
      const uint8_t* at = from + (r * columns + c) * Io::bytes;
      low[r] = Io::read(at);
      high[r] = Io::read(at + lanes * Io::bytes);
    }
    for (size_t k = 0; k < rank; ++k) {
      const Vector a = Io::load(down + k * columns + c);
      const Vector b = Io::load(down + k * columns + c + lanes);
      for (size_t r = 0; r < Rows; ++r) {
        const Vector factor = Io::all(up[r * rank + k]);
        low[r] = Io::addProduct(factor, a, low[r]);
        high[r] = Io::addProduct(factor, b, high[r]);
      }
    }
    for (size_t r = 0; r < Rows; ++r) {
      uint8_t* at = to + (r * columns + c) * Io::bytes;
      Io::write(at, low[r]);
      Io::write(at + lanes * Io::bytes, high[r]);
    }
  }
  for (; c < end; ++c) {
    for (size_t r = 0; r < Rows; ++r) {
      const size_t at = (r * columns + c) * Io::bytes;
      Number sum = Io::one(from + at);
      for (size_t k = 0; k < rank; ++k) sum = std::fma(up[r * rank + k], down[k * columns + c], sum);
      Io::put(to + at, static_cast<float>(sum));
    }
  }
}

template <typename Io>
ND_AVX2 void mergeWide(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank,
                       const typename Io::Number* up, const typename Io::Number* down) {
  constexpr size_t together = 4;
  const size_t rowBytes = columns * Io::bytes;
  for (size_t first = 0; first < columns; first += tileColumns) {
    const size_t end = std::min(columns, first + tileColumns);
    size_t r = 0;
    for (; r + together <= rows; r += together) {
      mergeBlock<Io, together>(from + r * rowBytes, to + r * rowBytes, columns, first, end, rank,
                               up + r * rank, down);
    }
    for (; r < rows; ++r)
      mergeBlock<Io, 1>(from + r * rowBytes, to + r * rowBytes, columns, first, end, rank, up + r * rank,
                        down);
  }
}

ND_AVX2 void halvesWide(const uint8_t* from, float* to, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(to + i, HalfIo::read(from + i * 2));
  for (; i < count; ++i) to[i] = Half::one(from + i * 2);
}

ND_AVX2 void streamWide(const uint8_t* from, uint8_t* to, size_t count) {
  constexpr size_t line = 32;
  const size_t head = std::min(count, (line - reinterpret_cast<uintptr_t>(to) % line) % line);
  std::memcpy(to, from, head);
  size_t at = head;
  for (; at + 4 * line <= count; at += 4 * line) {
    for (size_t i = 0; i < 4; ++i) {
      const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at + i * line));
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at + i * line), value);
    }
  }
  std::memcpy(to + at, from + at, count - at);
  _mm_sfence();
}

#endif

}  // namespace

#ifdef ND_AVX2
#define ND_MERGE(WIDE, PLAIN, NUMBER)                                            \
  if (isWide()) return mergeWide<WIDE>(from, to, rows, columns, rank, up, down); \
  mergePlain<PLAIN, NUMBER>(from, to, rows, columns, rank, up, down)
#else
#define ND_MERGE(WIDE, PLAIN, NUMBER) mergePlain<PLAIN, NUMBER>(from, to, rows, columns, rank, up, down)
#endif

void mergeHalf(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank, const float* up,
               const float* down) {
  ND_MERGE(HalfIo, Half, float);
}

void mergeBrainHalf(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank,
                    const float* up, const float* down) {
  ND_MERGE(BrainHalfIo, BrainHalf, float);
}

void mergeFloat(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank, const float* up,
                const float* down) {
  ND_MERGE(FloatIo, Float, float);
}

void mergeFloatExact(const uint8_t* from, uint8_t* to, size_t rows, size_t columns, size_t rank,
                     const double* up, const double* down) {
  ND_MERGE(FloatExactIo, Float, double);
}

void streamCopy(const uint8_t* from, uint8_t* to, size_t count) {
#ifdef ND_AVX2
  if (isWide()) return streamWide(from, to, count);
#endif
  std::memcpy(to, from, count);
}

void halvesToFloats(const uint8_t* from, float* to, size_t count) {
#ifdef ND_AVX2
  if (isWide()) return halvesWide(from, to, count);
#endif
  for (size_t i = 0; i < count; ++i) to[i] = Half::one(from + i * 2);
}

}  // namespace nd::lora
