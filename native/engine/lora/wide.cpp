#include "wide.h"

#ifdef ND_AVX2
#include <cpuid.h>

namespace nd::lora {
namespace {

// Not every compiler's __builtin_cpu_supports knows the name.
bool hasF16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace

bool isWide() {
  static const bool wide =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && hasF16c();
  return wide;
}

}  // namespace nd::lora
#endif
