#include "estimate.h"

#include <algorithm>
#include <unordered_set>

#include "ggml-backend.h"
#include "ggml-impl.h"
#include "ggml.h"

namespace nd::openvino {

// OpenVINO keeps constants as f32 in its own order, many of them twice, and memory for values between nodes.
// The factors are measured: `npm run test:openvino` holds the estimate to what compiling takes.
uint64_t compiledBytes(const ggml_cgraph* graph) {
  constexpr double perConstantByte = 1.6;
  constexpr uint64_t values = 4;
  std::unordered_set<const ggml_tensor*> leaves;
  uint64_t elements = 0;
  uint64_t largest = 0;
  for (int i = 0; i < graph->n_nodes; ++i) {
    const ggml_tensor* node = graph->nodes[i];
    largest = std::max<uint64_t>(largest, ggml_nbytes(node));
    for (const ggml_tensor* source : node->src) {
      if (source == nullptr || source->op != GGML_OP_NONE) continue;
      const ggml_tensor* leaf = source->view_src != nullptr ? source->view_src : source;
      if (leaves.insert(leaf).second) elements += static_cast<uint64_t>(ggml_nelements(leaf));
    }
  }
  return static_cast<uint64_t>(perConstantByte * static_cast<double>(elements * sizeof(float))) +
         values * largest;
}

}  // namespace nd::openvino
