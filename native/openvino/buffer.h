// Memory of the backend: ordinary host memory that OpenVINO reads in place. It does not call itself host
// memory to ggml, so every change of a tensor comes through set_tensor and its like; that is what makes a
// content id that was taken once stay true until the next change.
//
// A Block lives as long as its ggml buffer or anything compiled from it. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "ggml-backend-impl.h"
#include "hash.h"

namespace nd::openvino {

class Block {
  struct Private {};

 public:
  static std::shared_ptr<Block> make(size_t bytes);  // null without memory
  Block(Private /*made by make()*/, uint8_t* base, size_t bytes) : base_(base), bytes_(bytes) {}
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  uint8_t* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  bool holds(const void* from, size_t bytes) const;
  // Hash of a range; taken at the first call and after a change of any byte of it.
  Id content(const void* from, size_t bytes);
  void changed(const void* from, size_t bytes);
  // A tensor's values as f32, for graphs that have it as an input: its own memory where that is f32, else a
  // copy. All who hold the copy share it: the first call after a change writes the new values into it. It
  // goes with the last of them.
  std::shared_ptr<const float> unpacked(const ggml_tensor* tensor);
  // Of such copies.
  uint64_t unpackedBytes();

 private:
  struct Values {
    explicit Values(size_t elements)
        : data(std::make_unique_for_overwrite<float[]>(elements)), count(elements) {}
    std::unique_ptr<float[]> data;
    size_t count;
  };
  struct Unpacked {
    Id id;
    std::weak_ptr<Values> values;
  };
  struct Known {
    size_t bytes;
    Id id;
  };
  uint8_t* base_;
  size_t bytes_;
  std::mutex mutex_;
  std::map<size_t, Known> known_;  // by offset; ranges are tensors, which do not overlap partly
  std::map<size_t, Unpacked> unpacked_;
};

ggml_backend_buffer_type_t bufferType();
// The block of a buffer of ours; null for another's.
std::shared_ptr<Block> blockOf(ggml_backend_buffer_t buffer);
// The block of a weight's buffer; null where its bytes lie elsewhere, as those of one that shows kept bytes
// do.
std::shared_ptr<Block> blockThatHolds(const ggml_tensor* weight);

}  // namespace nd::openvino
