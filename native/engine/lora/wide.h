// Functions for vector registers of 256 bits, beside the plain ones: which are taken is decided at run time.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define ND_AVX2 __attribute__((target("avx2,fma,f16c")))
#define ND_AVX2_INLINE __attribute__((target("avx2,fma,f16c"), always_inline)) inline
#endif

#ifdef ND_AVX2
namespace nd::lora {

bool isWide();

}  // namespace nd::lora
#endif
