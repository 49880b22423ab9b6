// A 128-bit hash of memory, for identity by content; not for adversaries. Eight independent lanes, so that a
// model's weights go through at the speed of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace nd::openvino {

struct Id {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Id&) const = default;
  auto operator<=>(const Id&) const = default;  // NOLINT(modernize-use-nullptr): of what it generates
};

class Hasher {
 public:
  void add(const void* data, size_t bytes) {
    const auto* at = static_cast<const uint8_t*>(data);
    size_t left = bytes;
    for (; left >= kBlock; left -= kBlock, at += kBlock) {
      uint64_t words[kLanes];
      std::memcpy(words, at, kBlock);
      for (size_t i = 0; i < kLanes; ++i) lanes_[i] = fold(lanes_[i] ^ words[i], kOdd[i]);
    }
    uint64_t words[kLanes] = {};
    if (left > 0) std::memcpy(words, at, left);
    words[kLanes - 1] ^= static_cast<uint64_t>(bytes) << 8;
    for (size_t i = 0; i < kLanes; ++i) lanes_[i] = fold(lanes_[i] ^ words[i], kOdd[i]);
  }
  template <typename T>
  void value(const T& given) {
    add(&given, sizeof(given));
  }
  Id finish() const {
    Id id{kOdd[0], kOdd[1]};
    for (size_t i = 0; i < kLanes; ++i) {
      id.high = fold(id.high ^ lanes_[i], kOdd[i]);
      id.low = fold(id.low + lanes_[i], kOdd[kLanes - 1 - i]);
    }
    return id;
  }

 private:
  static constexpr size_t kLanes = 8;
  static constexpr size_t kBlock = kLanes * sizeof(uint64_t);
  // Fractional digits of the square roots of 2, 3, 5, 7, 11, 13, 17, 19, made odd.
  static constexpr uint64_t kOdd[kLanes] = {0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                            0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                            0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
  static uint64_t fold(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return (static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64)) + (b >> 1);
  }
  uint64_t lanes_[kLanes] = {kOdd[7], kOdd[6], kOdd[5], kOdd[4], kOdd[3], kOdd[2], kOdd[1], kOdd[0]};
};

}  // namespace nd::openvino
