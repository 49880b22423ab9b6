// The one symbol that ggml looks for in a backend module.
#include "device.h"

namespace {

ggml_backend_reg_t moduleRegistry() { return nd::openvino::registry(); }

}  // namespace

GGML_BACKEND_DL_IMPL(moduleRegistry)
