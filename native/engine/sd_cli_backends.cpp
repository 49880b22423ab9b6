// Of sd-cli alone: the engine's own tool finds its modules by ggml's search.
#include "ggml-backend.h"

namespace nd::shim {

void searchBackends() { ggml_backend_load_all(); }

}  // namespace nd::shim
