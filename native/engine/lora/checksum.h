// Knows blocks of weights again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nd::lora {

// 64 bits that change with any byte; the same on every processor; not against an adversary.
uint64_t checksum(const uint8_t* bytes, size_t count);

// The same of `from` while it is copied to `to` around the caches (see streamCopy): one pass instead of two.
uint64_t checksumCopy(const uint8_t* from, uint8_t* to, size_t count);

}  // namespace nd::lora
