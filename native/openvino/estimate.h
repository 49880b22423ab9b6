// What compiling a graph will take, told from its shapes alone: also of one whose tensors have no memory, as
// those of a job that is measured.
#pragma once

#include <cstdint>

struct ggml_cgraph;

namespace nd::openvino {

// `signature` is of the network, its weights and its shapes: graphs that have the same are compiled once.
uint64_t compiledBytesOf(const ggml_cgraph* graph, uint64_t* signature);
// The same of f32 bytes of constants and of the largest value between two nodes.
uint64_t compiledBytes(uint64_t constants, uint64_t largestValue);

}  // namespace nd::openvino
