// What is asked of the weights of a loaded model, as plain values. TypeScript decides all of it
// (lib/weights); nothing here or below takes a decision.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace nd::lora {

// A file of deltas. `stamp` is "size:mtimeNs:inode" of the moment its content was identified.
struct FileSpec {
  std::string id, path, stamp;
};

// A tensor of such a file: dtype as safetensors or ggml names it, outermost dimension first.
struct PartSpec {
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t offset = 0;
};

// One change of one tensor. `kind`: lora, loha, lokr, full, ia3, glora, oft, boft; see delta.cpp for the
// formulas and the names of the parts.
struct DeltaSpec {
  size_t file = 0;
  std::string kind;
  double multiplier = 1;
  double scale = 1;       // alpha / rank; for oft and boft the constraint
  int64_t rowOffset = 0;  // rows of the tensor that it changes
  int64_t rows = 0;
  int64_t rank = 0;   // lora: how many of the file's ranks are used
  bool flag = false;  // ia3: on input; glora: the older order of factors; oft: the blocks are rotations
  std::map<std::string, PartSpec> parts;
};

// What a tensor shall be: its original plus all deltas. No deltas: the original.
struct TargetSpec {
  std::string tensor;
  std::string key;   // names this state by content; empty: the original
  int64_t rows = 0;  // the tensor seen as a matrix of that many rows
  std::vector<DeltaSpec> deltas;
};

struct WeightsPlan {
  std::string backup;       // file, ram or device
  bool verify = false;      // the checkpoint's files have another stamp: compare contents first
  uint64_t cacheBytes = 0;  // most bytes of merged tensors to keep
  std::vector<FileSpec> files;
  std::vector<TargetSpec> targets;
};

struct WeightsResult {
  size_t merged = 0, restored = 0, copied = 0;  // tensors, by how they got their bytes
  uint64_t bytes = 0;
  double seconds = 0;
};

struct WeightsMemory {
  uint64_t ramBackup = 0, deviceBackup = 0, cache = 0, loraFiles = 0;
  size_t changedTensors = 0;
  std::map<std::string, uint64_t> compiled;  // graphs that a backend compiled, by component
};

struct TensorDigest {
  std::string name, type, sha256;
  std::vector<int64_t> shape;
};

}  // namespace nd::lora
