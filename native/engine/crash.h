// What is written to standard error (descriptor 2) when the engine takes the process down: why, and the last
// lines of its log (log.h). Process-wide, part of the runtime (runtime.h). Any thread.
#pragma once

namespace nd {

// GGML_ASSERT and ggml_abort end the process; the reason and the log are written first. Idempotent.
void reportAborts();

// For a process that holds nothing but the engine: the same for faults (SIGSEGV and its like) and for every
// other abort(), then the process dies of the signal as it would have; and it dies with the thread that
// started it (Linux), even while it is stopped. Idempotent.
void guardEngineProcess();

}  // namespace nd
