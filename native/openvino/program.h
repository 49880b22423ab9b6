// A graph made ready to run: parts that OpenVINO computes, and parts that ggml's CPU backend computes in
// between. Between the parts values are in ggml's own memory, where each tensor is safe from its node to its
// last reader.
//
// Owned by the cache and by whoever runs it; one run at a time (it locks). A run only reads what was
// compiled.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "ggml-backend.h"
#include "translator.h"

namespace nd::openvino {

// A weight's values that a request reads.
struct Bound {
  const Block* block = nullptr;
  std::shared_ptr<const float> values;
};

struct Part {
  int begin = 0;
  int end = 0;
  bool compiled = false;
  ov::CompiledModel model;
  ov::InferRequest request;
  std::vector<int> inputs;   // tensors by id; weights among them where the program is adaptive
  std::vector<Bound> bound;  // by input
  std::vector<int> outputs;
  std::vector<Copy> copies;
};

struct CpuNodes {
  std::function<ggml_status(ggml_cgraph*)> compute;
  std::function<bool()> aborted;
};

// Of the graph's constants the first that lies in a block of ours; without constants, of the weights.
Block* ownerOfWeights(const Graph& graph);

// What a program was made of and may still read from ggml's memory.
struct SharedWeight {
  std::shared_ptr<Block> block;
  const void* data;
  size_t bytes;
  Id content;  // when the program was made
};

class Program {
 public:
  ggml_status run(const Graph& graph, const CpuNodes& cpu);
  // Unpacks the weights that are inputs, so that their memory is counted before the first run.
  void bindWeights(const Graph& graph);
  // Notes which weights are constants of it.
  void tieTo(const Graph& graph);
  bool unchanged() const;
  // It reads weights of one of these.
  bool isOf(const std::set<Block*>& of) const;
  // It has stood in for a compiled one long enough.
  bool expired() const;
  // This memory goes. It was a weight's that is an input, so the program stays.
  void unbind(const Block* block);
  // Writes a part as OpenVINO exports it, while nothing runs it.
  void write(Part& part, std::ostream& stream);

  std::vector<Part> parts;
  // Weights of matrix products are inputs: what they hold is no part of what was compiled.
  bool adaptive = false;
  // OpenVINO failed to compile a part, which ggml's CPU backend computes. It may have been for want of
  // something that is there later.
  bool refused = false;
  bool ahead = false;      // read from the disk before it was asked for
  uint64_t number = 0;     // of the cache's, by which the engine knows it
  uint64_t signature = 0;  // of the graph that it was made for, see estimate.h
  std::chrono::steady_clock::time_point made = std::chrono::steady_clock::now();
  std::set<Block*> blocks;  // of constants, and the owner's; it goes with any of them
  std::vector<SharedWeight> shared;
  uint64_t bytes = 0;   // what it takes, measured when it was compiled
  uint64_t stored = 0;  // of its weights on disk: the least that it takes there
  int covered = 0;      // nodes that OpenVINO computes
  int uncovered = 0;    // nodes that ggml's CPU backend computes
  std::map<std::string, int> reasons;

 private:
  static void infer(Part& part, const Graph& graph);
  static void inferModel(Part& part, const Graph& graph);
  static void bindWeight(Part& part, size_t input, const ggml_tensor* weight);
  std::mutex mutex_;
};

}  // namespace nd::openvino
