#include "estimate.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ggml-backend.h"
#include "ggml-impl.h"
#include "ggml.h"
#include "hash.h"
#include "rules.h"

namespace nd::openvino {
namespace {

// As Graph::signature(), for tensors without memory.
class Signature {
 public:
  void node(const ggml_tensor* node) {
    for (const ggml_tensor* source : node->src)
      if (source != nullptr) hasher_.value(number(source));
    hasher_.value(number(node));
  }
  uint64_t finish() const { return hasher_.finish().low >> 11; }

 private:
  int number(const ggml_tensor* tensor) {
    const auto [at, fresh] = numbers_.try_emplace(tensor, static_cast<int>(numbers_.size()));
    if (!fresh) return at->second;
    hasher_.value(tensor->op);
    hasher_.value(tensor->type);
    hasher_.value(tensor->ne);
    if (tensor->op != GGML_OP_NONE) hasher_.value(tensor->op_params);
    return at->second;
  }
  std::unordered_map<const ggml_tensor*, int> numbers_;
  Hasher hasher_;
};

// The scores of an attention that is one operation when it is compiled. OpenVINO's CPU plugin has them whole
// only where it has no kernel for that: on processors without AVX2.
void addScores(const ggml_tensor* product, std::unordered_set<const ggml_tensor*>& vanishing) {
  const ggml_tensor* at = product->src[1];
  if (product->op != GGML_OP_MUL_MAT || at->op != GGML_OP_SOFT_MAX || at->src[1] != nullptr) return;
  do {
    vanishing.insert(at);
    at = at->src[0];
  } while (at->op == GGML_OP_ADD || at->op == GGML_OP_SCALE);
  if (at->op == GGML_OP_MUL_MAT) vanishing.insert(at);
}

}  // namespace

uint64_t largestValueOf(const ggml_cgraph* graph) {
  std::unordered_set<const ggml_tensor*> vanishing;
  for (int i = 0; i < graph->n_nodes; ++i) addScores(graph->nodes[i], vanishing);
  uint64_t largest = 0;
  for (int i = 0; i < graph->n_nodes; ++i) {
    const ggml_tensor* node = graph->nodes[i];
    if (isView(node) || isLazy(node) || vanishing.count(node) != 0) continue;
    largest = std::max<uint64_t>(largest, ggml_nbytes(node));
  }
  return largest;
}

// OpenVINO keeps constants as f32 in its own order, and memory for values between nodes. The factors are
// measured: `npm run test:openvino` holds the estimate to what compiling takes.
uint64_t compiledBytes(uint64_t constants, uint64_t largestValue) {
  constexpr double perConstantByte = 1.1;
  constexpr uint64_t values = 4;
  return static_cast<uint64_t>(perConstantByte * static_cast<double>(constants)) + values * largestValue;
}

uint64_t constantBytes(const ggml_tensor* weight) {
  const uint64_t copies = elementType(weight->type) ? 1 : 2;
  return copies * static_cast<uint64_t>(ggml_nelements(weight)) * sizeof(float);
}

uint64_t signatureOf(const ggml_cgraph* graph) {
  Signature signature;
  for (int i = 0; i < graph->n_nodes; ++i) signature.node(graph->nodes[i]);
  return signature.finish();
}

uint64_t compiledBytesOf(const ggml_cgraph* graph, uint64_t* signature) {
  std::unordered_set<const ggml_tensor*> leaves;
  uint64_t constants = 0;
  for (int i = 0; i < graph->n_nodes; ++i) {
    for (const ggml_tensor* source : graph->nodes[i]->src) {
      if (source == nullptr || source->op != GGML_OP_NONE) continue;
      const ggml_tensor* leaf = source->view_src != nullptr ? source->view_src : source;
      if (leaves.insert(leaf).second) constants += constantBytes(leaf);
    }
  }
  *signature = signatureOf(graph);
  return compiledBytes(constants, largestValueOf(graph));
}

}  // namespace nd::openvino
