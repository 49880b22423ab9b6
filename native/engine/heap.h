// The C library's heap, after much was freed at once. Any thread.
#pragma once

namespace nd {

// Gives free pages back to the system: glibc keeps those of every thread's arena, and each model has a thread
// of its own. A precaution; what it saves has not been measured.
void trimHeap();

}  // namespace nd
