#include "heap.h"

#if defined(__linux__)
#include <malloc.h>
#endif

#include <memory>
#include <vector>

namespace nd {

void trimHeap() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

void growHeap(size_t bytes) {
#if defined(__GLIBC__)
  constexpr size_t block = 96U * 1024U;  // below the size from which glibc maps blocks of their own
  std::vector<std::unique_ptr<char[]>> blocks(bytes / block);
  for (auto& taken : blocks) taken = std::make_unique_for_overwrite<char[]>(block);
#else
  static_cast<void>(bytes);
#endif
}

}  // namespace nd
