// The bytes of one tensor from its original and its deltas, block of rows by block of rows.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "codec.h"
#include "delta.h"
#include "spec.h"

namespace nd::lora {

// A tensor as a matrix.
struct Shape {
  size_t rows = 0, columns = 0;
};

// Rows in one block: about a megabyte of floats, so that threads share a large tensor and a small one is one
// block.
size_t blockRows(const Shape& shape);
size_t blockCount(const Shape& shape);

// Reads rows of the original, in the stored type.
using ReadRows = std::function<void(size_t first, size_t count, uint8_t* to)>;

// The deltas of one tensor, made ready on first use and shared by the threads that work on its blocks.
class Merger {
 public:
  Merger(const TargetSpec& spec, std::vector<std::shared_ptr<const LoraFile>> files, Codec codec,
         Shape shape);
  ~Merger();
  // All deltas are of low rank: a block needs no rows but its own.
  bool isBlockwise() const { return blockwise_; }
  // `rows` of the original from `first` on, changed where they are. Any thread.
  void mergeBlock(size_t first, size_t rows, uint8_t* bytes);
  // All rows, for deltas that look at the whole tensor. One thread.
  void mergeWhole(const ReadRows& read, const std::function<void(size_t, size_t, const uint8_t*)>& write);

 private:
  struct Prepared;
  void prepare();

  const TargetSpec& spec_;
  std::vector<std::shared_ptr<const LoraFile>> files_;  // one for each delta
  Codec codec_;
  Shape shape_;
  bool blockwise_;
  std::once_flag once_;
  std::atomic<size_t> left_;  // blocks; the factors go with the last one
  std::unique_ptr<Prepared> prepared_;
};

}  // namespace nd::lora
