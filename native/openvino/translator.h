// Turns a run of nodes of a ggml graph into an ov::Model. A tensor with ne = [n0, n1, n2, n3] is a value of
// shape [n3, n2, n1, n0]; all four dimensions are kept everywhere, and all floating point values are f32,
// whatever type ggml keeps them in. Weights become constants over ggml's own memory, other leaves and results
// of earlier parts become parameters.
//
// Lives while one part of a graph is translated; one thread.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "buffer.h"
#include "graph.h"
#include "openvino/openvino.hpp"

namespace nd::openvino {

using Value = ov::Output<ov::Node>;

// No rule for this node: ggml's CPU backend computes it.
struct Uncovered : std::runtime_error {
  Uncovered(const ggml_tensor* theNode, const std::string& why) : std::runtime_error(why), node(theNode) {}
  const ggml_tensor* node;
};

// A result with the bytes of an input or of another result. OpenVINO's CPU plugin leaves the memory of such a
// result alone.
struct Copy {
  int from;  // tensors by id
  int to;
};

struct Translation {
  std::shared_ptr<ov::Model> model;  // null when some nodes are uncovered, or nothing is computed
  std::vector<int> inputs;           // tensors by id, in the order of the model's parameters
  std::vector<int> outputs;
  std::vector<Copy> copies;
  std::map<int, std::string> uncovered;  // node index, reason
  uint64_t constantBytes = 0;            // of all constants, see estimate.h
  uint64_t storedBytes = 0;              // of all constants on disk
};

class Translator {
 public:
  // `adaptive`: weights that can be inputs are.
  Translator(const Graph& graph, int begin, int end, bool adaptive)
      : graph_(graph), begin_(begin), end_(end), adaptive_(adaptive) {}
  Translation run();

  // For rules: the value of a tensor that a node reads.
  Value value(const ggml_tensor* tensor);
  // A weight that is an input of the compiled graph.
  bool isInput(const ggml_tensor* weight) const { return adaptive_ && graph_.canBeInput(weight); }
  // The node belongs to this part, so that a rule may look through it.
  bool inside(const ggml_tensor* node) const;
  // A pattern's value for a node that has another form than the node's own.
  void remember(const ggml_tensor* node, const Value& form) { forms_[node] = form; }
  const Value* remembered(const ggml_tensor* node) const;

 private:
  Value make(const ggml_tensor* tensor);
  Value input(const ggml_tensor* tensor);
  Value constant(const ggml_tensor* tensor);
  std::vector<int> neededAfterwards() const;
  void addResult(const ggml_tensor* node, ov::ResultVector& results);

  const Graph& graph_;
  int begin_;
  int end_;
  bool adaptive_;
  std::unordered_map<const ggml_tensor*, Value> values_;
  std::unordered_map<const ggml_tensor*, Value> forms_;
  ov::ParameterVector parameters_;
  std::map<const ov::Node*, int> sources_;  // parameters and results: what the bytes of a value are a copy of
  Translation result_;
};

// f32 or i32 constant of a weight; counts its bytes. Throws Uncovered for types without a rule.
Value weightConstant(const ggml_tensor* tensor, Translation& result);

}  // namespace nd::openvino
