// The arithmetic of native/engine/lora against plain loops, on shapes that leave remainders everywhere.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "lora/codec.h"
#include "lora/checksum.h"
#include "lora/kernel.h"
#include "lora/matrix.h"
#include "lora/merge.h"
#include "lora/sha256.h"

namespace {

using nd::lora::Codec;

std::vector<float> randoms(size_t count, unsigned seed, float size) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

using Merge = void (*)(const uint8_t*, uint8_t*, size_t, size_t, size_t, const float*, const float*);

// Distance from the exact sum in units in the last place of the type; `mantissa` bits, smallest exponent.
double worst(ggml_type type, Merge merge, int mantissa, int smallest) {
  constexpr size_t rows = 7;
  constexpr size_t columns = 531;
  constexpr size_t rank = 5;
  const Codec codec(type);
  std::vector<uint8_t> bytes(codec.bytes(rows * columns));
  codec.fromFloat(randoms(rows * columns, 1, 0.02F).data(), bytes.data(), rows, columns);
  std::vector<float> before(rows * columns);
  codec.toFloat(bytes.data(), before.data(), before.size());
  const std::vector<float> up = randoms(rows * rank, 2, 0.1F);
  const std::vector<float> down = randoms(rank * columns, 3, 0.1F);
  merge(bytes.data(), bytes.data(), rows, columns, rank, up.data(), down.data());
  std::vector<float> after(rows * columns);
  codec.toFloat(bytes.data(), after.data(), after.size());
  double most = 0;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) {
      double exact = static_cast<double>(before[r * columns + c]);
      for (size_t k = 0; k < rank; ++k)
        exact += static_cast<double>(up[r * rank + k]) * static_cast<double>(down[k * columns + c]);
      const int exponent = std::max(smallest, exact == 0 ? smallest : std::ilogb(exact));
      const double unit = std::ldexp(1.0, exponent - mantissa);
      most = std::max(most, std::abs(static_cast<double>(after[r * columns + c]) - exact) / unit);
    }
  }
  return most;
}

void testKernels() {
  CHECK(worst(GGML_TYPE_F16, nd::lora::mergeHalf, 10, -14) <= 0.51);
  CHECK(worst(GGML_TYPE_BF16, nd::lora::mergeBrainHalf, 7, -126) <= 0.51);
}

void testExact() {
  constexpr size_t columns = 77;
  std::vector<float> row = randoms(columns, 4, 1);
  const std::vector<float> before = row;
  const std::vector<double> up = {-1.0};
  std::vector<double> down(before.begin(), before.end());
  for (double& value : down) value *= 1 + 1e-9;
  auto* bytes = reinterpret_cast<uint8_t*>(row.data());
  nd::lora::mergeFloatExact(bytes, bytes, 1, columns, 1, up.data(), down.data());
  bool close = true;
  for (size_t c = 0; c < columns; ++c) {
    const double exact = static_cast<double>(before[c]) - down[c];
    close = close && std::abs(static_cast<double>(row[c]) - exact) <= std::abs(exact) * 1e-6;
  }
  CHECK(close);  // in floats nothing would be left
}

void testCodecs() {
  for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K}) {
    const Codec codec(type);
    const std::vector<float> values = randoms(512, 5, 0.02F);
    std::vector<uint8_t> bytes(codec.bytes(512));
    codec.fromFloat(values.data(), bytes.data(), 2, 256);
    std::vector<float> back(512);
    codec.toFloat(bytes.data(), back.data(), 512);
    double most = 0;
    for (size_t i = 0; i < 512; ++i)
      most = std::max(most, static_cast<double>(std::abs(back[i] - values[i])));
    CHECK(most < 0.01);
  }
}

void testHalves() {
  std::vector<uint8_t> bytes(65536 * 2);
  for (size_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    std::memcpy(bytes.data() + i * 2, &bits, 2);
  }
  std::vector<float> wide(65536);
  nd::lora::halvesToFloats(bytes.data(), wide.data(), wide.size());
  bool same = true;
  for (size_t i = 0; i < wide.size(); ++i) {
    const float plain = ggml_fp16_to_fp32(static_cast<ggml_fp16_t>(i));
    same = same && (plain == wide[i] || (std::isnan(plain) && std::isnan(wide[i])));
  }
  CHECK(same);
}

void testCayley() {
  const std::vector<float> given = randoms(25, 6, 0.3F);
  const std::vector<double> block(given.begin(), given.end());
  const nd::lora::Matrix turn = nd::lora::cayley(block.data(), 5, 1);
  const nd::lora::Matrix one = nd::lora::product(turn, nd::lora::transposed(turn));
  double most = 0;
  for (size_t r = 0; r < 5; ++r) {
    for (size_t c = 0; c < 5; ++c) most = std::max(most, std::abs(one.row(r)[c] - (r == c ? 1.0 : 0.0)));
  }
  CHECK(most < 1e-12);
}

std::string hashOf(const std::string& text, size_t step) {
  nd::lora::Sha256 hash;
  for (size_t at = 0; at < text.size(); at += step)
    hash.update(reinterpret_cast<const uint8_t*>(text.data()) + at, std::min(step, text.size() - at));
  return hash.hex();
}

void testSha256() {
  CHECK(hashOf("", 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hashOf("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  const std::string known = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
  CHECK(hashOf(million, million.size()) == known);
  CHECK(hashOf(million, 77) == known);
}

void testChecksum() {
  std::vector<uint8_t> bytes(1000, 3);
  const uint64_t before = nd::lora::checksum(bytes.data(), bytes.size());
  bool differs = true;
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 1;
    differs = differs && nd::lora::checksum(bytes.data(), bytes.size()) != before;
    bytes[i] ^= 1;
  }
  CHECK(differs);
  CHECK(nd::lora::checksum(bytes.data(), 999) != before);
  // Lines that changed places.
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  const uint64_t inOrder = nd::lora::checksum(bytes.data(), bytes.size());
  std::swap_ranges(bytes.begin(), bytes.begin() + 64, bytes.begin() + 640);
  CHECK(nd::lora::checksum(bytes.data(), bytes.size()) != inOrder);
}

// Wherever it is copied to, and whatever its length: the same sum and the same bytes, and none beside them.
void testChecksumCopy() {
  constexpr uint8_t untouched = 0xEE;
  std::vector<uint8_t> from(1000);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<uint8_t>(i * 31);
  for (const size_t count : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{640}, size_t{999}}) {
    for (size_t shift = 0; shift < 64; shift += 8) {
      std::vector<uint8_t> to(from.size() + 64, untouched);
      CHECK(nd::lora::checksumCopy(from.data(), to.data() + shift, count) ==
            nd::lora::checksum(from.data(), count));
      CHECK(std::equal(from.begin(), from.begin() + static_cast<ptrdiff_t>(count), to.data() + shift));
      const auto isUntouched = [](uint8_t byte) { return byte == untouched; };
      CHECK(std::all_of(to.begin(), to.begin() + static_cast<ptrdiff_t>(shift), isUntouched));
      CHECK(std::all_of(to.begin() + static_cast<ptrdiff_t>(shift + count), to.end(), isUntouched));
    }
  }
}

void testBlocks() {
  const nd::lora::Shape shape{5000, 320};
  const size_t rows = nd::lora::blockRows(shape);
  CHECK(rows >= 1 && rows <= shape.rows);
  CHECK(nd::lora::blockCount(shape) * rows >= shape.rows);
  CHECK((nd::lora::blockCount(shape) - 1) * rows < shape.rows);
}

}  // namespace

int main() {
  testKernels();
  testExact();
  testCodecs();
  testHalves();
  testCayley();
  testSha256();
  testChecksum();
  testChecksumCopy();
  testBlocks();
  return nd::test::report();
}
