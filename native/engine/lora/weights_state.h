// What Weights keeps of a tensor and of a change under way; seen by its own sources only.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "weights.h"

namespace nd::lora {

inline size_t elementsOf(const TensorAccess& tensor) {
  size_t count = 1;
  for (const int64_t size : tensor.shape()) count *= static_cast<size_t>(size);
  return count;
}

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

// Bytes that the engine may compute with: aligned more than ggml aligns its tensors. Not zeroed.
class KeptBytes {
 public:
  KeptBytes() = default;
  explicit KeptBytes(size_t size)
      : bytes_(static_cast<uint8_t*>(::operator new (size, std::align_val_t{alignment}))), size_(size) {}
  uint8_t* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return !bytes_; }

 private:
  static constexpr size_t alignment = 64;
  struct Free {
    void operator()(uint8_t* bytes) const noexcept { ::operator delete (bytes, std::align_val_t{alignment}); }
  };
  std::unique_ptr<uint8_t, Free> bytes_;
  size_t size_ = 0;
};

struct Weights::Kept {
  std::string tensor, key;
  KeptBytes bytes;
  bool inUse = false;  // shown, or about to be
};

// A tensor's own memory holds `home`. The engine computes with `now`: that memory, or kept bytes that are
// shown in its place, which leaves the memory as it is.
struct Weights::State {
  std::shared_ptr<const Recipe> now, home;  // null: the original
  Kept* shown = nullptr;
  std::vector<uint64_t> checks;  // of the original's blocks, where the checkpoint is or was the backup
  std::vector<uint8_t> ram;      // the original, where host memory is
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
  std::shared_ptr<const Recipe> before, after;  // of the tensor's own memory
  std::unique_ptr<Merger> merger;               // of `after`, where it has to be computed
  Kept* known = nullptr;                        // the bytes of `after`, where they were kept
  KeptBytes keep;                               // the bytes of `before`, to be kept
  bool stays = false;         // own memory stays as it is: it holds `after` already, or `known` is shown
  bool first = false;         // own memory holds the original, and there is no other copy
  bool copiesFirst = false;   // ... which goes to state->ram, block by block
  bool checksFirst = false;   // ... or whose checksums are taken, block by block
  std::vector<char> started;  // blocks that were written

  // Its deltas look at the whole tensor.
  bool isWhole() const { return merger && !merger->isBlockwise(); }
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
