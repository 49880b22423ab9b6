#include "checksum.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernel.h"
#include "wide.h"

namespace nd::lora {
namespace {

constexpr size_t checksumLanes = 8;
constexpr size_t checksumLine = checksumLanes * sizeof(uint64_t);
constexpr uint64_t checksumPrime = 0x9E3779B185EBCA87ULL;

struct ChecksumLanes {
  alignas(32) std::array<uint64_t, checksumLanes> products{}, sums{}, keys{};
  ChecksumLanes() {
    for (size_t lane = 0; lane < checksumLanes; ++lane) keys[lane] = (2 * lane + 1) * checksumPrime;
  }
};

void sumPlain(const uint8_t* bytes, size_t lines, ChecksumLanes& lanes) {
  for (size_t line = 0; line < lines; ++line) {
    for (size_t lane = 0; lane < checksumLanes; ++lane) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + line * checksumLine + lane * sizeof(word), sizeof(word));
      const uint64_t mixed = word ^ lanes.keys[lane];
      lanes.products[lane] += (mixed & 0xFFFFFFFFU) * (mixed >> 32U);
      lanes.sums[lane] += word;
      lanes.keys[lane] += checksumPrime;
    }
  }
}

#ifdef ND_AVX2
// `to`, where Copies: aligned to 32 bytes.
template <bool Copies>
ND_AVX2 void sumWide(const uint8_t* bytes, size_t lines, ChecksumLanes& lanes, uint8_t* to) {
  constexpr size_t half = checksumLanes / 2;
  const auto at = [](uint64_t* words) { return reinterpret_cast<__m256i*>(words); };
  const __m256i step = _mm256_set1_epi64x(static_cast<int64_t>(checksumPrime));
  __m256i products[2];
  __m256i sums[2];
  __m256i keys[2];
  for (size_t i = 0; i < 2; ++i) {
    products[i] = _mm256_load_si256(at(lanes.products.data() + i * half));
    sums[i] = _mm256_load_si256(at(lanes.sums.data() + i * half));
    keys[i] = _mm256_load_si256(at(lanes.keys.data() + i * half));
  }
  for (size_t line = 0; line < lines; ++line) {
    const size_t place = line * checksumLine;
    for (size_t i = 0; i < 2; ++i) {
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + place + i * 32));
      if constexpr (Copies) _mm256_stream_si256(reinterpret_cast<__m256i*>(to + place + i * 32), words);
      const __m256i mixed = _mm256_xor_si256(words, keys[i]);
      products[i] = _mm256_add_epi64(products[i], _mm256_mul_epu32(mixed, _mm256_srli_epi64(mixed, 32)));
      sums[i] = _mm256_add_epi64(sums[i], words);
      keys[i] = _mm256_add_epi64(keys[i], step);
    }
  }
  if constexpr (Copies) _mm_sfence();
  for (size_t i = 0; i < 2; ++i) {
    _mm256_store_si256(at(lanes.products.data() + i * half), products[i]);
    _mm256_store_si256(at(lanes.sums.data() + i * half), sums[i]);
  }
}
#endif

// The lanes and what follows the last whole line, in one word.
uint64_t fold(const ChecksumLanes& lanes, const uint8_t* bytes, size_t count) {
  constexpr uint64_t second = 0xC2B2AE3D27D4EB4FULL;
  const auto turn = [](uint64_t value, int by) { return (value << by) | (value >> (64 - by)); };
  uint64_t sum = count;
  const auto add = [&](uint64_t value) {
    sum = turn(sum ^ (turn(value * second, 31) * checksumPrime), 27) * checksumPrime + second;
  };
  for (size_t lane = 0; lane < checksumLanes; ++lane) {
    add(lanes.products[lane]);
    add(lanes.sums[lane]);
  }
  for (size_t at = count / checksumLine * checksumLine; at < count; at += 8) {
    uint64_t value = 0;
    std::memcpy(&value, bytes + at, std::min<size_t>(8, count - at));
    add(value);
  }
  sum = (sum ^ (sum >> 33)) * second;
  return sum ^ (sum >> 29);
}

}  // namespace

// Lanes of 64 bits, each summing words and products of the two halves of a word and a key that moves on with
// every line: the inner loop of XXH3 (Yann Collet) in all but the order of its keys, folded with the primes
// of xxHash64.
uint64_t checksum(const uint8_t* bytes, size_t count) {
  ChecksumLanes lanes;
  const size_t lines = count / checksumLine;
#ifdef ND_AVX2
  if (isWide())
    sumWide<false>(bytes, lines, lanes, nullptr);
  else
#endif
    sumPlain(bytes, lines, lanes);
  return fold(lanes, bytes, count);
}

uint64_t checksumCopy(const uint8_t* from, uint8_t* to, size_t count) {
#ifdef ND_AVX2
  if (isWide() && reinterpret_cast<uintptr_t>(to) % 32 == 0) {
    ChecksumLanes lanes;
    const size_t lines = count / checksumLine;
    sumWide<true>(from, lines, lanes, to);
    std::memcpy(to + lines * checksumLine, from + lines * checksumLine, count % checksumLine);
    return fold(lanes, from, count);
  }
#endif
  streamCopy(from, to, count);
  return checksum(from, count);
}

}  // namespace nd::lora
