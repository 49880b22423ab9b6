// What compiling a graph will take, told from its shapes alone: also of one whose tensors have no memory, as
// those of a job that is measured.
#pragma once

#include <cstdint>

struct ggml_cgraph;
struct ggml_tensor;

namespace nd::openvino {

// The same for graphs whose operations, types and shapes are the same, whatever their tensors hold, with or
// without memory. Below 2^53, so that JavaScript can hold it.
uint64_t signatureOf(const ggml_cgraph* graph);
uint64_t compiledBytesOf(const ggml_cgraph* graph, uint64_t* signature);
// Bytes of the largest value between two nodes, as far as OpenVINO keeps it: neither the columns of a
// convolution nor the scores of an attention.
uint64_t largestValueOf(const ggml_cgraph* graph);
// Of a weight as a constant: its f32 values, twice where it is of a type that OpenVINO has no memory for and
// so keeps what it was unpacked to.
uint64_t constantBytes(const ggml_tensor* weight);
// What compiling takes: of all constants, and the largest value.
uint64_t compiledBytes(uint64_t constants, uint64_t largestValue);

}  // namespace nd::openvino
