// Force-included into every engine source (native/cmake/NdEngine.cmake). Where no CPU module is loaded, the
// engine has ggml look for modules in the folder of the program, in the working directory and where
// GGML_BACKEND_PATH points, and load what it finds. A library does not run what happens to lie there:
// runtime.cpp loads modules, by absolute path.
#pragma once

#include "ggml-backend.h"

namespace nd::shim {

// Nothing in the addon (backend_search.cpp); ggml's search in sd-cli, which loads nothing by itself
// (sd_cli_backends.cpp).
void searchBackends();

}  // namespace nd::shim

#define ggml_backend_load_all ::nd::shim::searchBackends
