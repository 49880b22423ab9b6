// A graph made ready to run: parts that OpenVINO computes, and parts that ggml's CPU backend computes in
// between. Between the parts values are in ggml's own memory, where each tensor is safe from its node to its
// last reader.
//
// Owned by the cache and by whoever runs it; one run at a time (it locks). A run only reads what was
// compiled.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "ggml-backend.h"
#include "translator.h"

namespace nd::openvino {

struct Part {
  int begin = 0;
  int end = 0;
  bool compiled = false;
  ov::CompiledModel model;
  ov::InferRequest request;
  std::vector<int> inputs;  // tensors by id; weights among them where the program is adaptive
  std::vector<std::shared_ptr<const float>> bound;  // by input: a weight's values that the request reads
  std::vector<int> outputs;
  std::vector<Copy> copies;
};

struct CpuNodes {
  std::function<ggml_status(ggml_cgraph*)> compute;
  std::function<bool()> aborted;
};

class Program {
 public:
  ggml_status run(const Graph& graph, const CpuNodes& cpu);
  // Unpacks the weights that are inputs, so that their memory is counted before the first run.
  void bindWeights(const Graph& graph);
  // Writes a part as OpenVINO exports it, while nothing runs it.
  void write(Part& part, std::ostream& stream);

  std::vector<Part> parts;
  // Weights of matrix products are inputs: what they hold is no part of what was compiled.
  bool adaptive = false;
  std::set<Block*> blocks;  // it goes with any of them
  std::vector<SharedWeight> shared;
  std::vector<Id> sharedContent;  // at the time of compiling
  uint64_t bytes = 0;             // what it takes, measured when it was compiled
  uint64_t constants = 0;         // what of it are weights: the least that it takes on disk
  int covered = 0;                // nodes that OpenVINO computes
  int uncovered = 0;              // nodes that ggml's CPU backend computes
  std::map<std::string, int> reasons;

 private:
  static void infer(Part& part, const Graph& graph);
  static void inferModel(Part& part, const Graph& graph);
  static void bindWeight(Part& part, size_t input, const ggml_tensor* weight);
  std::mutex mutex_;
};

}  // namespace nd::openvino
