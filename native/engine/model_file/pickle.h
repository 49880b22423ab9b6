// What the engine's pickle reader would do with a pickle, in sizes alone: it copies whole values, so a small
// pickle that stores and recalls lists of lists could fill the memory. Nothing is executed, here or there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace nd::model_file {

struct PickleResult {
  size_t end = 0;     // position after STOP
  std::string fault;  // empty: the engine can read it in bounded memory
};

// Walks one pickle from `begin` of a buffer of `size` bytes.
PickleResult walkPickle(const uint8_t* buffer, size_t size, size_t begin);

}  // namespace nd::model_file
