// Between stored types and floats. Threads: all functions are pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ggml.h"

namespace nd::lora {

// A type that a model's tensor can have in memory.
class Codec {
 public:
  explicit Codec(ggml_type type);

  ggml_type type() const { return type_; }
  // Bytes of `count` elements; a multiple of the type's block.
  size_t bytes(size_t count) const { return count / blockElements_ * blockBytes_; }
  void toFloat(const uint8_t* from, float* to, size_t count) const;
  // The engine's own rounding, so that a value that was loaded comes back as it was.
  void fromFloat(const float* from, uint8_t* to, size_t rows, size_t columns) const;

 private:
  ggml_type type_;
  size_t blockElements_, blockBytes_;
};

// Any type of a delta's file, by safetensors' or ggml's name. Throws EngineError (ModelUnsupported).
size_t partBytes(const std::string& dtype, size_t count);
void partToFloat(const std::string& dtype, const uint8_t* from, float* to, size_t count);

}  // namespace nd::lora
