// What Weights keeps of a tensor and of a change under way; seen by its own sources only.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "weights.h"

namespace nd::lora {

// How a tensor was made, enough to make it again.
struct Weights::Recipe {
  TargetSpec spec;
  std::vector<std::shared_ptr<const LoraFile>> files;  // one for each delta
};

inline std::vector<uint8_t>& scratch(size_t bytes) {
  thread_local std::vector<uint8_t> buffer;
  if (buffer.size() < bytes) buffer.resize(bytes);
  return buffer;
}

struct Weights::State {
  std::shared_ptr<const Recipe> now;     // null: the original
  std::vector<uint64_t> checks;          // of the original's blocks, where the checkpoint is the backup
  std::vector<uint8_t> ram;              // the original, where host memory is
  std::unique_ptr<TensorAccess> device;  // the original, where the device is
  Shape shape;

  bool hasBackup() const { return !ram.empty() || device != nullptr; }
};

struct Weights::Change {
  std::string name;
  TensorAccess* tensor = nullptr;
  State* state = nullptr;
  Codec codec{GGML_TYPE_F32};
  Shape shape;
  std::shared_ptr<const Recipe> before, after;
  std::unique_ptr<Merger> merger;               // of `after`, where it has to be computed
  const std::vector<uint8_t>* known = nullptr;  // the bytes of `after`, where they were kept
  std::vector<uint8_t> keep;                    // the bytes of `before`, to be kept
  bool first = false;         // the tensor in memory is the original, and there is no other copy
  bool copiesFirst = false;   // ... which goes to state->ram, block by block
  std::vector<char> started;  // blocks that were written

  size_t step() const { return blockRows(shape) * shape.columns; }
  size_t elements() const { return shape.rows * shape.columns; }
  size_t blockElements(size_t block) const { return std::min(step(), elements() - block * step()); }
  size_t offset(size_t block) const { return codec.bytes(block * step()); }
  size_t blockBytes(size_t block) const { return codec.bytes(blockElements(block)); }
};

struct Weights::Unit {
  size_t change, block;
};

}  // namespace nd::lora
