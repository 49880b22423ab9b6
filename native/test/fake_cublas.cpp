// A library of cuBLAS's name that does nothing: it is only ever looked for.
extern "C" __attribute__((visibility("default"))) int cublasNothing() { return 0; }
