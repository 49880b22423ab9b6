// The C library's heap, after much was freed at once. Any thread.
#pragma once

#include <cstddef>

namespace nd {

// Gives free pages back to the system: glibc keeps those of every thread's arena, and each model has a thread
// of its own. Without it a process holds some 100 MiB more after loads that were refused half-way.
void trimHeap();

// Lets this thread's heap grow by `bytes` without a system call for every page: glibc makes a thread's arena
// accessible page by page, which costs a load of a model (a tokenizer of 26 MiB in small pieces) 6,300 calls.
// Takes blocks and gives them back; nothing stays allocated, nothing but their headers is touched.
void growHeap(size_t bytes);

}  // namespace nd
