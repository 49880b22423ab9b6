/**
 * How a process is started whose memory is to tell of its own work alone, where that work starts threads. glibc gives
 * every thread a heap, up to eight for each core, and the threads in which V8 collects garbage leave up to 2 MiB each in
 * theirs; that breathes more than what is looked for. Without these settings a process that loads and disposes of models
 * ends some MiB higher, while heaptrack counts the same live bytes after 20 loads and after 100.
 */
export const oneHeap = {
  env: { MALLOC_ARENA_MAX: '1' },
  nodeOptions: ['--single-threaded-gc', '--max-semi-space-size=1'],
};
