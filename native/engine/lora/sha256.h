// SHA-256 (FIPS 180-4), with the processor's instructions where it has them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace nd::lora {

class Sha256 {
 public:
  void update(const uint8_t* bytes, size_t count);
  // 64 lower-case hex digits. Once, at the end.
  std::string hex();

 private:
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> rest_{};
  size_t restBytes_ = 0;
  uint64_t total_ = 0;
};

}  // namespace nd::lora
