#include "graph.h"

#include <cstring>

#include "buffer.h"
#include "ggml-backend.h"
#include "ggml-impl.h"

namespace nd::openvino {
namespace {

ggml_backend_buffer_t bufferOf(const ggml_tensor* tensor) { return rootOf(tensor)->buffer; }

ggml_backend_buffer_usage usageOf(const ggml_tensor* tensor) {
  ggml_backend_buffer_t buffer = bufferOf(tensor);
  return buffer == nullptr ? GGML_BACKEND_BUFFER_USAGE_COMPUTE : ggml_backend_buffer_get_usage(buffer);
}

bool computed(const ggml_tensor* node) { return (node->flags & GGML_TENSOR_FLAG_COMPUTE) != 0; }

// Whether its first source may be an input of the compiled graph.
bool readsFactor(const ggml_tensor* node) {
  const ggml_tensor* weight = node->src[0];
  switch (node->op) {
    case GGML_OP_MUL_MAT:
      return ggml_is_matrix(weight);
    case GGML_OP_CONV_2D:
    case GGML_OP_IM2COL: {
      const int32_t* steps = node->op_params;  // strides, then paddings
      return isPixelKernel(weight) && steps[0] == 1 && steps[1] == 1 && steps[2] == 0 && steps[3] == 0 &&
             (node->op == GGML_OP_CONV_2D || steps[6] == 1);
    }
    case GGML_OP_RESHAPE:  // as the product reads it that follows IM2COL
      return isPixelKernel(weight);
    default:
      return false;
  }
}

}  // namespace

bool isView(const ggml_tensor* tensor) {
  return tensor->op == GGML_OP_RESHAPE || tensor->op == GGML_OP_VIEW || tensor->op == GGML_OP_PERMUTE ||
         tensor->op == GGML_OP_TRANSPOSE;
}

const ggml_tensor* rootOf(const ggml_tensor* tensor) {
  return tensor->view_src != nullptr ? tensor->view_src : tensor;
}

const ggml_tensor* ownerOf(const ggml_tensor* tensor) {
  while (isView(tensor)) tensor = tensor->src[0];
  return tensor;
}

bool isWeight(const ggml_tensor* tensor) {
  return tensor->op == GGML_OP_NONE && usageOf(tensor) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

bool isPixelKernel(const ggml_tensor* tensor) { return tensor->ne[0] == 1 && tensor->ne[1] == 1; }

bool isOne(const ggml_tensor* tensor) {
  return tensor->op == GGML_OP_NONE && tensor->type == GGML_TYPE_F32 && ggml_nelements(tensor) == 1 &&
         std::strcmp(tensor->name, "ggml_runner_build_in_tensor:one") == 0 && tensor->data != nullptr &&
         *static_cast<const float*>(tensor->data) == 1.0F;
}

Graph::Graph(ggml_cgraph* graph) : graph_(graph) {
  const int count = ggml_graph_n_nodes(graph);
  nodes_.assign(ggml_graph_nodes(graph), ggml_graph_nodes(graph) + count);
  Hasher hasher;
  for (int i = 0; i < count; ++i) {
    ggml_tensor* node = nodes_[static_cast<size_t>(i)];
    for (ggml_tensor* source : node->src) {
      if (source != nullptr) number(source, hasher);
    }
    number(node, hasher);
    if (computed(node)) indices_[node] = i;
    hasher.value(i);
    hasher.value(computed(node));
    for (const ggml_tensor* source : node->src) hasher.value(source == nullptr ? -1 : ids_.at(source));
  }
  findFactors();
  findResults();
  checkOrder();
  for (int i = 0; i < count; ++i) hasher.value(static_cast<bool>(results_[static_cast<size_t>(i)]));
  signature_ = hasher.finish();
}

int Graph::indexOf(const ggml_tensor* tensor) const {
  const auto found = indices_.find(tensor);
  return found == indices_.end() ? -1 : found->second;
}

void Graph::number(ggml_tensor* tensor, Hasher& hasher) {
  const auto [at, fresh] = ids_.try_emplace(tensor, static_cast<int>(tensors_.size()));
  if (!fresh) return;
  tensors_.push_back(tensor);
  struct {
    int32_t op, type;
    int64_t ne[GGML_MAX_DIMS];
    uint64_t nb[GGML_MAX_DIMS];
    uint64_t offset;
    int32_t view, weight, one, output;
    int32_t params[GGML_MAX_OP_PARAMS / sizeof(int32_t)];
  } facts;
  std::memset(&facts, 0, sizeof(facts));
  facts.op = tensor->op;
  facts.type = tensor->type;
  std::memcpy(facts.ne, tensor->ne, sizeof(facts.ne));
  for (int i = 0; i < GGML_MAX_DIMS; ++i) facts.nb[i] = tensor->nb[i];
  facts.offset = tensor->view_src != nullptr ? tensor->view_offs : 0;
  facts.view = tensor->view_src != nullptr ? 1 : 0;
  facts.weight = isWeight(tensor) ? 1 : 0;
  facts.one = isOne(tensor) ? 1 : 0;
  facts.output = tensor->flags & GGML_TENSOR_FLAG_OUTPUT;
  if (tensor->op != GGML_OP_NONE) std::memcpy(facts.params, tensor->op_params, sizeof(facts.params));
  hasher.value(facts);
  if (isWeight(tensor)) weights_.push_back(tensor);
  if (tensor->op == GGML_OP_NONE && tensor->data == nullptr && ggml_nelements(tensor) > 0)
    refusal_ = "a tensor has no memory";
}

void Graph::findFactors() {
  for (const ggml_tensor* weight : weights_) {
    if (blockThatHolds(weight) && ggml_is_contiguous(weight) &&
        (ggml_is_matrix(weight) || isPixelKernel(weight)) &&
        (weight->type == GGML_TYPE_F32 || ggml_get_type_traits(weight->type)->to_float != nullptr))
      factors_.insert(weight);
  }
  for (const ggml_tensor* node : nodes_) {
    for (int i = 0; i < GGML_MAX_SRC; ++i)
      if (i != 0 || !readsFactor(node)) factors_.erase(node->src[i]);
  }
}

// What nothing in the graph reads is read by somebody else, and so is what is written into memory that
// outlives the graph.
void Graph::findResults() {
  results_.assign(nodes_.size(), false);
  std::vector<bool> read(tensors_.size(), false);
  for (const ggml_tensor* node : nodes_) {
    for (const ggml_tensor* source : node->src) {
      if (source != nullptr) read[static_cast<size_t>(ids_.at(source))] = true;
    }
  }
  const auto mark = [&](const ggml_tensor* tensor) {
    const int index = indexOf(ownerOf(tensor));
    if (index >= 0) results_[static_cast<size_t>(index)] = true;
  };
  for (const ggml_tensor* node : nodes_) {
    const bool outlives =
        !isView(node) && node->view_src != nullptr &&
        (usageOf(node) != GGML_BACKEND_BUFFER_USAGE_COMPUTE || node->view_src->op == GGML_OP_NONE);
    const bool output = (node->flags & GGML_TENSOR_FLAG_OUTPUT) != 0;
    if (outlives || output || !read[static_cast<size_t>(ids_.at(node))]) mark(node);
  }
}

// An OpenVINO graph has values and no memory. A node that writes into another's memory gives a new value;
// whoever reads the old one afterwards would see the new bytes in ggml and the old value here, so such graphs
// are refused. So are graphs that write into weights, whose compiled form would be stale at once, and those
// with products that read beyond their rows, as the engine builds SDXS-09's: what lies there depends on where
// ggml puts the other values.
void Graph::checkOrder() {
  std::unordered_map<const ggml_tensor*, const ggml_tensor*> current;  // by memory: who wrote it last
  for (const ggml_tensor* node : nodes_) {
    for (const ggml_tensor* source : node->src) {
      if (source == nullptr) continue;
      const auto writer = current.find(rootOf(source));
      if (writer != current.end() && writer->second != ownerOf(source))
        refusal_ = "a node reads memory that another has written over";
    }
    if (node->op == GGML_OP_MUL_MAT && node->src[0]->ne[0] != node->src[1]->ne[0])
      refusal_ = "a product reads beyond its rows";
    if (isView(node) || node->op == GGML_OP_NONE) continue;
    current[rootOf(node)] = node;
    if (usageOf(node) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS) refusal_ = "it writes into weights";
  }
}

Id Graph::network() const {
  Hasher hasher;
  for (const ggml_tensor* weight : weights_) {
    hasher.value(weight->type);
    hasher.value(weight->ne);
  }
  return hasher.finish();
}

ggml_cgraph Graph::slice(int begin, int end) const {
  ggml_cgraph part = *graph_;
  part.size = 0;
  part.n_nodes = end - begin;
  part.n_leafs = 0;
  part.nodes = graph_->nodes + begin;
  part.grads = nullptr;
  part.grad_accs = nullptr;
  part.leafs = nullptr;
  return part;
}

}  // namespace nd::openvino
