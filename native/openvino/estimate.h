// What compiling a graph will take, told from its shapes alone: also of one whose tensors have no memory, as
// those of a job that is measured.
#pragma once

#include <cstdint>

struct ggml_cgraph;

namespace nd::openvino {

uint64_t compiledBytes(const ggml_cgraph* graph);

}  // namespace nd::openvino
