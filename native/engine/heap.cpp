#include "heap.h"

#if defined(__linux__)
#include <malloc.h>
#endif

namespace nd {

void trimHeap() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace nd
