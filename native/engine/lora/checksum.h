// Knows blocks of weights again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nd::lora {

// 64 bits that change with any byte; the same on every processor; not against an adversary.
uint64_t checksum(const uint8_t* bytes, size_t count);

}  // namespace nd::lora
