#include "unpack.h"

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#define ND_HALF __attribute__((target("avx,f16c")))
#endif

namespace nd::openvino {
namespace {

#ifdef ND_HALF

// ggml's own goes by a table, one number at a time.
ND_HALF int64_t unpackHalf(const ggml_fp16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  return i;
}

// Not every compiler's __builtin_cpu_supports knows the name.
bool hasHalf() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __builtin_cpu_supports("avx") != 0 && __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 &&
         (ecx & bit_F16C) != 0;
}

#endif

}  // namespace

void unpack(const ggml_tensor* tensor, float* to) {
  int64_t done = 0;
  const int64_t count = ggml_nelements(tensor);
#ifdef ND_HALF
  static const bool half = hasHalf();
  if (half && tensor->type == GGML_TYPE_F16)
    done = unpackHalf(static_cast<const ggml_fp16_t*>(tensor->data), to, count);
#endif
  if (done == count) return;
  const auto* from = static_cast<const uint8_t*>(tensor->data) + ggml_row_size(tensor->type, done);
  ggml_get_type_traits(tensor->type)->to_float(from, to + done, count - done);
}

}  // namespace nd::openvino
