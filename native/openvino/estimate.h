// What compiling a graph will take, told from its shapes alone: also of one whose tensors have no memory, as
// those of a job that is measured.
#pragma once

#include <cstdint>

struct ggml_cgraph;

namespace nd::openvino {

// The same for graphs whose operations, types and shapes are the same, whatever their tensors hold, with or
// without memory. Below 2^53, so that JavaScript can hold it.
uint64_t signatureOf(const ggml_cgraph* graph);
uint64_t compiledBytesOf(const ggml_cgraph* graph, uint64_t* signature);
// Bytes of the largest value between two nodes, as far as OpenVINO keeps it: neither the columns of a
// convolution nor the scores of an attention.
uint64_t largestValueOf(const ggml_cgraph* graph);
// What compiling takes: `constants` in f32, and the largest value.
uint64_t compiledBytes(uint64_t constants, uint64_t largestValue);

}  // namespace nd::openvino
