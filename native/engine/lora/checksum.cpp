#include "checksum.h"

#include <algorithm>
#include <array>
#include <cstring>

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
ND_AVX2 void sumWide(const uint8_t* bytes, size_t lines, ChecksumLanes& lanes) {
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
    const uint8_t* const from = bytes + line * checksumLine;
    for (size_t i = 0; i < 2; ++i) {
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i * 32));
      const __m256i mixed = _mm256_xor_si256(words, keys[i]);
      products[i] = _mm256_add_epi64(products[i], _mm256_mul_epu32(mixed, _mm256_srli_epi64(mixed, 32)));
      sums[i] = _mm256_add_epi64(sums[i], words);
      keys[i] = _mm256_add_epi64(keys[i], step);
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    _mm256_store_si256(at(lanes.products.data() + i * half), products[i]);
    _mm256_store_si256(at(lanes.sums.data() + i * half), sums[i]);
  }
}
#endif

}  // namespace

// Lanes of 64 bits, each summing words and products of the two halves of a word and a key that moves on with
// every line: the inner loop of XXH3 (Yann Collet) in all but the order of its keys, folded with the primes
// of xxHash64.
uint64_t checksum(const uint8_t* bytes, size_t count) {
  constexpr uint64_t second = 0xC2B2AE3D27D4EB4FULL;
  const auto turn = [](uint64_t value, int by) { return (value << by) | (value >> (64 - by)); };
  ChecksumLanes lanes;
  const size_t lines = count / checksumLine;
#ifdef ND_AVX2
  if (isWide())
    sumWide(bytes, lines, lanes);
  else
#endif
    sumPlain(bytes, lines, lanes);
  uint64_t sum = count;
  const auto fold = [&](uint64_t value) {
    sum = turn(sum ^ (turn(value * second, 31) * checksumPrime), 27) * checksumPrime + second;
  };
  for (size_t lane = 0; lane < checksumLanes; ++lane) {
    fold(lanes.products[lane]);
    fold(lanes.sums[lane]);
  }
  for (size_t at = lines * checksumLine; at < count; at += 8) {
    uint64_t value = 0;
    std::memcpy(&value, bytes + at, std::min<size_t>(8, count - at));
    fold(value);
  }
  sum = (sum ^ (sum >> 33)) * second;
  return sum ^ (sum >> 29);
}

}  // namespace nd::lora
