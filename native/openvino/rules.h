// One rule for each ggml operation, and the small vocabulary they are written in. A rule gets the translator
// and a node and gives the node's value; it throws Uncovered where it does not hold.
#pragma once

#include <optional>

#include "openvino/opsets/opset13.hpp"

#include "translator.h"

namespace nd::openvino {

// constants.cpp
// A constant of a narrow type as f32. OpenVINO converts it while it packs the weights of a product where
// nothing lies between the two; else it makes an f32 copy of the whole and keeps that.
Value widened(const std::shared_ptr<ov::op::v0::Constant>& constant);
// What a value is widened from; null: it is no such value.
std::shared_ptr<ov::op::v0::Constant> narrowConstant(const Value& value);

Value applyRule(Translator& translator, const ggml_tensor* node);
// Made only when something reads it: a pattern usually takes its place.
bool isLazy(const ggml_tensor* node);

// layout.cpp
ov::Shape shapeOf(const ggml_tensor* tensor);
std::optional<ov::element::Type> elementType(ggml_type type);  // none: no such memory in OpenVINO
Value toComputeType(const Value& value);                       // f32, or i32 for integers
Value scalar(float value);
Value integers(const std::vector<int64_t>& values);
Value floats(const std::vector<float>& values, const ov::Shape& shape);
Value reshape(const Value& value, const ov::Shape& shape);
Value transpose(const Value& value, const std::vector<int64_t>& order);
// [begin, begin + count) of one axis.
Value slice(const Value& value, int64_t axis, int64_t begin, int64_t count);
Value concat(const std::vector<Value>& values, int64_t axis);
// ggml's broadcasting: index modulo size.
Value repeatTo(const Value& value, const ov::Shape& shape);
Value multiply(const Value& a, const Value& b);
Value add(const Value& a, const Value& b);
// Elements at offset + sum(index * stride) of a value read in memory order.
Value strided(const ggml_tensor* node, const Value& base, const int64_t* ne, const int64_t* strides,
              int64_t offset);
float floatParam(const ggml_tensor* node, int index);
int32_t intParam(const ggml_tensor* node, int index);
// The source through reshapes, copies of the same values included.
const ggml_tensor* throughReshapes(const ggml_tensor* tensor);
[[noreturn]] void uncovered(const ggml_tensor* node, const char* why);

using Rule = Value (*)(Translator&, const ggml_tensor*);
namespace rule {
Value copy(Translator&, const ggml_tensor*);
Value reshapeView(Translator&, const ggml_tensor*);
Value permute(Translator&, const ggml_tensor*);
Value transposeView(Translator&, const ggml_tensor*);
Value view(Translator&, const ggml_tensor*);
Value concatenate(Translator&, const ggml_tensor*);
Value repeat(Translator&, const ggml_tensor*);
Value pad(Translator&, const ggml_tensor*);
Value getRows(Translator&, const ggml_tensor*);
Value binary(Translator&, const ggml_tensor*);
Value unary(Translator&, const ggml_tensor*);
Value simple(Translator&, const ggml_tensor*);
Value gated(Translator&, const ggml_tensor*);
Value scale(Translator&, const ggml_tensor*);
Value reduce(Translator&, const ggml_tensor*);
Value arange(Translator&, const ggml_tensor*);
Value timestepEmbedding(Translator&, const ggml_tensor*);
Value norm(Translator&, const ggml_tensor*);
Value rmsNorm(Translator&, const ggml_tensor*);
Value l2Norm(Translator&, const ggml_tensor*);
Value groupNorm(Translator&, const ggml_tensor*);
Value matMul(Translator&, const ggml_tensor*);
Value conv2d(Translator&, const ggml_tensor*);
Value conv2dDepthwise(Translator&, const ggml_tensor*);
Value im2col(Translator&, const ggml_tensor*);
Value softMax(Translator&, const ggml_tensor*);
Value diagMaskInf(Translator&, const ggml_tensor*);
Value flashAttention(Translator&, const ggml_tensor*);
Value rope(Translator&, const ggml_tensor*);
Value upscale(Translator&, const ggml_tensor*);
Value pool2d(Translator&, const ggml_tensor*);
}  // namespace rule

// Patterns: an empty Value where they do not hold.
Value convolutionOf(Translator& translator, const ggml_tensor* matMul);   // IM2COL, MUL_MAT
Value attentionOf(Translator& translator, const ggml_tensor* matMul);     // MUL_MAT, SCALE, SOFT_MAX, MUL_MAT
Value affineGroupNormOf(Translator& translator, const ggml_tensor* add);  // GROUP_NORM, MUL, ADD

}  // namespace nd::openvino
