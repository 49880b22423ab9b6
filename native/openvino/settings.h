// What one backend was made with, read from the text that ggml hands through: lines of `name=value`.
#pragma once

#include <cstdint>
#include <string>

namespace nd::openvino {

struct Settings {
  std::string device = "CPU";     // as OpenVINO names it
  std::string precision = "f32";  // f32, bf16, f16: what inference computes in
  int threads = 0;                // 0: OpenVINO's own choice
  int streams = 1;
  uint64_t cacheBytes = 0;    // bound of what is kept in memory; 0: half of the machine's memory
  bool weightInputs = false;  // weights of matrix products are inputs from the first compilation on
  std::string diskCache;      // directory of the disk cache; empty: none
  uint64_t diskCacheBytes = uint64_t{4} << 30;
  std::string model;  // a name without a meaning of the model that is loaded; empty: nothing is read ahead
  uint64_t aheadBytes = 0;  // what graphs that are read ahead may take
  int aheadSeconds = 60;    // how long they are kept when nobody asks for them

  static Settings parse(const char* text);  // null: defaults; throws std::invalid_argument
  // Whatever changes the compiled form.
  std::string key() const;
};

}  // namespace nd::openvino
