// The C library's heap, after much was freed at once. Any thread.
#pragma once

namespace nd {

// Gives free pages back to the system. glibc keeps those of every thread's arena, and each model has a thread
// of its own: after some dozens of loads and disposals that was half as much again as the whole idle process.
void trimHeap();

}  // namespace nd
