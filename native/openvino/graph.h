// What the backend needs to know of a ggml graph before it compiles or runs it. The engine makes its graphs
// anew for every evaluation, so tensors are known by numbers: two graphs with the same signature give the
// same tensors the same numbers. A Graph lives for one call of graph_compute.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ggml.h"
#include "hash.h"

struct ggml_cgraph;

namespace nd::openvino {

// RESHAPE, VIEW, PERMUTE, TRANSPOSE: another look at the memory of their source.
bool isView(const ggml_tensor* tensor);
// The tensor that owns the memory.
const ggml_tensor* rootOf(const ggml_tensor* tensor);
// The nearest ancestor through views: a leaf or the node whose value is looked at.
const ggml_tensor* ownerOf(const ggml_tensor* tensor);
bool isWeight(const ggml_tensor* tensor);
// A kernel of one pixel: a matrix.
bool isPixelKernel(const ggml_tensor* tensor);
// The engine's leaf that always holds 1.
bool isOne(const ggml_tensor* tensor);

class Graph {
 public:
  explicit Graph(ggml_cgraph* graph);

  int nodes() const { return static_cast<int>(nodes_.size()); }
  ggml_tensor* node(int index) const { return nodes_[static_cast<size_t>(index)]; }
  // Index of a node; -1 for leaves, and for nodes that the graph does not compute.
  int indexOf(const ggml_tensor* tensor) const;
  int idOf(const ggml_tensor* tensor) const { return ids_.at(tensor); }
  int tensors() const { return static_cast<int>(tensors_.size()); }
  ggml_tensor* tensor(int id) const { return tensors_[static_cast<size_t>(id)]; }
  // Its value must be in memory when the graph has run.
  bool isResult(int index) const { return results_[static_cast<size_t>(index)]; }
  const Id& signature() const { return signature_; }
  // The same for every size of a network, in every process: types and shapes of its weights.
  Id network() const;
  const std::vector<const ggml_tensor*>& weights() const { return weights_; }
  // A weight that matrix products and convolutions of single pixels alone read, so that it may be an input of
  // the compiled graph.
  bool canBeInput(const ggml_tensor* weight) const { return factors_.count(weight) != 0; }
  // Empty, or why no part of the graph may be compiled.
  const std::string& refusal() const { return refusal_; }
  ggml_cgraph slice(int begin, int end) const;
  const ggml_cgraph* source() const { return graph_; }

 private:
  void number(ggml_tensor* tensor, Hasher& hasher);
  void findFactors();
  void findResults();
  void checkOrder();

  ggml_cgraph* graph_;
  std::vector<ggml_tensor*> nodes_;
  std::vector<ggml_tensor*> tensors_;
  std::unordered_map<const ggml_tensor*, int> ids_;
  std::unordered_map<const ggml_tensor*, int> indices_;
  std::vector<bool> results_;
  std::vector<const ggml_tensor*> weights_;
  std::unordered_set<const ggml_tensor*> factors_;
  std::string refusal_;
  Id signature_;
};

}  // namespace nd::openvino
