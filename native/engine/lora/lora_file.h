// A file of deltas in host memory, read once and immutable. Shared by the states of the tensors that use it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec.h"

namespace nd::lora {

// "size:mtimeNs:inode" of a file, as lib/weights writes it; empty where there is none.
std::string stampOf(const std::string& path);

class LoraFile {
 public:
  // Throws EngineError (ModelNotFound, ModelCorrupt) where the file is not the one that was identified.
  explicit LoraFile(const FileSpec& spec);

  const std::string& id() const { return id_; }
  size_t bytes() const { return bytes_.size(); }
  // All elements of a part. Throws EngineError (ModelCorrupt) when it is not in the file.
  std::vector<float> floats(const PartSpec& part) const;
  std::vector<double> doubles(const PartSpec& part) const;

 private:
  std::string id_, path_;
  std::vector<uint8_t> bytes_;
};

size_t elements(const PartSpec& part);

}  // namespace nd::lora
