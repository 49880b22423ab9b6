#include "codec.h"

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "kernel.h"
#include "types.h"

namespace nd::lora {

Codec::Codec(ggml_type type)
    : type_(type),
      blockElements_(static_cast<size_t>(ggml_blck_size(type))),
      blockBytes_(ggml_type_size(type)) {}

void Codec::toFloat(const uint8_t* from, float* to, size_t count) const {
  switch (type_) {
    case GGML_TYPE_F32:
      std::memcpy(to, from, count * sizeof(float));
      return;
    case GGML_TYPE_F16:
      halvesToFloats(from, to, count);
      return;
    case GGML_TYPE_BF16:
      ggml_bf16_to_fp32_row(reinterpret_cast<const ggml_bf16_t*>(from), to, static_cast<int64_t>(count));
      return;
    default:
      break;
  }
  const ggml_type_traits* traits = ggml_get_type_traits(type_);
  if (traits->to_float == nullptr) {
    throw EngineError(ErrorCode::ModelUnsupported,
                      std::string("Weights of type ") + ggml_type_name(type_) + " cannot be changed.");
  }
  traits->to_float(from, to, static_cast<int64_t>(count));
}

void Codec::fromFloat(const float* from, uint8_t* to, size_t rows, size_t columns) const {
  const size_t count = rows * columns;
  switch (type_) {
    case GGML_TYPE_F32:
      std::memcpy(to, from, count * sizeof(float));
      return;
    case GGML_TYPE_F16:
      ggml_fp32_to_fp16_row(from, reinterpret_cast<ggml_fp16_t*>(to), static_cast<int64_t>(count));
      return;
    case GGML_TYPE_BF16:
      ggml_fp32_to_bf16_row_ref(from, reinterpret_cast<ggml_bf16_t*>(to), static_cast<int64_t>(count));
      return;
    default:
      break;
  }
  // As the engine quantises while it loads: an importance of 1 for every column.
  const std::vector<float> importance(columns, 1.0F);
  ggml_quantize_chunk(type_, from, to, 0, static_cast<int64_t>(rows), static_cast<int64_t>(columns),
                      importance.data());
}

namespace {

float fromF8(uint8_t bits, int mantissaBits, int bias) {
  const int exponentBits = 7 - mantissaBits;
  const int exponent = (bits >> mantissaBits) & ((1 << exponentBits) - 1);
  const int mantissa = bits & ((1 << mantissaBits) - 1);
  const auto fraction = static_cast<float>(mantissa) / static_cast<float>(1 << mantissaBits);
  const bool special = mantissaBits == 3 ? (bits & 0x7F) == 0x7F : exponent == 31;
  if (special) return mantissa == 0 ? INFINITY : NAN;
  const float size =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return (bits & 0x80) != 0 ? -size : size;
}

ggml_type typeOf(const std::string& dtype) {
  static const std::map<std::string, ggml_type> plain = {
      {"F32", GGML_TYPE_F32}, {"F16", GGML_TYPE_F16}, {"BF16", GGML_TYPE_BF16}};
  const auto found = plain.find(dtype);
  if (found != plain.end()) return found->second;
  for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
    const ggml_type_traits* traits = ggml_get_type_traits(static_cast<ggml_type>(i));
    if (traits->type_name != nullptr && traits->blck_size > 0 && traits->to_float != nullptr &&
        dtype == traits->type_name)
      return static_cast<ggml_type>(i);
  }
  throw EngineError(ErrorCode::ModelUnsupported, "A delta of type " + dtype + " cannot be read.");
}

bool isF8(const std::string& dtype) { return dtype == "F8_E4M3" || dtype == "F8_E5M2"; }

}  // namespace

size_t partBytes(const std::string& dtype, size_t count) {
  if (isF8(dtype)) return count;
  if (dtype == "F64") return count * sizeof(double);
  return Codec(typeOf(dtype)).bytes(count);
}

void partToFloat(const std::string& dtype, const uint8_t* from, float* to, size_t count) {
  if (isF8(dtype)) {
    const bool wide = dtype == "F8_E4M3";
    for (size_t i = 0; i < count; ++i) to[i] = fromF8(from[i], wide ? 3 : 2, wide ? 7 : 15);
    return;
  }
  if (dtype == "F64") {
    for (size_t i = 0; i < count; ++i) {
      double value = 0;
      std::memcpy(&value, from + i * sizeof(double), sizeof(double));
      to[i] = static_cast<float>(value);
    }
    return;
  }
  Codec(typeOf(dtype)).toFloat(from, to, count);
}

}  // namespace nd::lora
