// Weights as f32, for graphs that have them as inputs.
#pragma once

#include "ggml.h"

namespace nd::openvino {

// All elements of a tensor without gaps, of any type that ggml can read. Exact.
void unpack(const ggml_tensor* tensor, float* to);

}  // namespace nd::openvino
