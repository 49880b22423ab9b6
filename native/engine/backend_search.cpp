// A file of its own, so that sd-cli's function (sd_cli_backends.cpp) takes its place.
#include "backend_shim.h"

// Modules are loaded by runtime.cpp and nowhere else: without one the engine finds no device, which it
// reports.
void nd::shim::searchBackends() {}
