// MUL_MAT and the convolutions.
#include "rules.h"

namespace nd::openvino {
namespace {

namespace op = ov::op;

size_t size(int64_t n) { return static_cast<size_t>(n); }

// A convolution of single pixels whose kernel [OC, IC, 1, 1] is an input of the graph.
Value pixelProduct(const Value& kernel, const Value& input) {
  const ov::Shape& from = kernel.get_shape();
  const ov::Shape& to = input.get_shape();
  const Value pixels = reshape(input, {to[0], to[1], to[2] * to[3]});
  const auto product =
      std::make_shared<op::v0::MatMul>(reshape(kernel, {from[0], from[1]}), pixels, false, false);
  return reshape(product, {to[0], from[0], to[2], to[3]});
}

// Parameters of CONV_2D and IM2COL come width first, OpenVINO's height first.
Value convolve(Translator& translator, const ggml_tensor* node) {
  const Value kernel = translator.value(node->src[0]);
  const Value input = translator.value(node->src[1]);
  // OpenVINO would bring such a kernel into its own order in every evaluation.
  if (translator.isInput(node->src[0])) return pixelProduct(kernel, input);
  const auto param = [&](int i) { return static_cast<size_t>(intParam(node, i)); };
  const auto signedParam = [&](int i) { return static_cast<std::ptrdiff_t>(intParam(node, i)); };
  const ov::CoordinateDiff padding{signedParam(3), signedParam(2)};
  return std::make_shared<op::v1::Convolution>(input, kernel, ov::Strides{param(1), param(0)}, padding,
                                               padding, ov::Strides{param(5), param(4)});
}

Value convolve3d(Translator& translator, const ggml_tensor* columns) {
  const ggml_tensor* kernel = columns->src[0];
  const ggml_tensor* input = columns->src[1];
  const int64_t channels = intParam(columns, 9);
  const auto param = [&](int i) { return static_cast<size_t>(intParam(columns, i)); };
  const auto padding = [&](int i) { return static_cast<std::ptrdiff_t>(intParam(columns, i)); };
  const Value weights =
      reshape(translator.value(kernel), {size(kernel->ne[3] / channels), size(channels), size(kernel->ne[2]),
                                         size(kernel->ne[1]), size(kernel->ne[0])});
  const Value x =
      reshape(translator.value(input), {size(input->ne[3] / channels), size(channels), size(input->ne[2]),
                                        size(input->ne[1]), size(input->ne[0])});
  const ov::CoordinateDiff pads{padding(5), padding(4), padding(3)};
  return std::make_shared<op::v1::Convolution>(x, weights, ov::Strides{param(2), param(1), param(0)}, pads,
                                               pads, ov::Strides{param(8), param(7), param(6)});
}

// [.., N, K] times [.., M, K], ggml's batches: each of a's serves the same number of consecutive ones of b.
Value matMulOf(const ggml_tensor* node, const Value& a, const Value& b) {
  const ggml_tensor* left = node->src[0];
  const ggml_tensor* right = node->src[1];
  const auto product = [](const Value& x, const Value& y) {
    return std::make_shared<op::v0::MatMul>(x, y, false, true);
  };
  if (left->ne[2] == 1 && left->ne[3] == 1)
    return product(b, reshape(a, {size(left->ne[1]), size(left->ne[0])}));
  const int64_t inner = right->ne[2] / left->ne[2];
  const int64_t outer = right->ne[3] / left->ne[3];
  const bool broadcasts = (inner == 1 || left->ne[2] == 1) && (outer == 1 || left->ne[3] == 1);
  if (broadcasts) return product(b, a);
  if (outer != 1) uncovered(node, "its outer batches are broadcast");
  const ov::Shape grouped{size(left->ne[3]), size(left->ne[2]), size(inner * right->ne[1]),
                          size(right->ne[0])};
  return reshape(product(reshape(b, grouped), a), shapeOf(node));
}

}  // namespace

// ggml's convolutions: the columns of the input times the kernel, the channels outermost. The convolution
// itself is remembered, since a permute that brings the channels back usually follows.
Value convolutionOf(Translator& translator, const ggml_tensor* node) {
  const ggml_tensor* columns = throughReshapes(node->src[0]);
  if (!isLazy(columns) || !translator.inside(columns)) return {};
  if (throughReshapes(node->src[1]) != throughReshapes(columns->src[0])) return {};
  if (node->src[0]->ne[0] != columns->ne[0] || node->src[0]->ne[2] != 1 || node->src[0]->ne[3] != 1)
    return {};
  if (columns->op == GGML_OP_IM2COL_3D) {
    const Value result = convolve3d(translator, columns);  // [N, OC, OD, OH, OW]
    return reshape(transpose(result, {1, 0, 2, 3, 4}), shapeOf(node));
  }
  if (intParam(columns, 6) == 0) return {};  // one dimension
  const Value result = convolve(translator, columns);
  translator.remember(node, result);
  return reshape(transpose(result, {1, 0, 2, 3}), shapeOf(node));
}

namespace rule {

Value matMul(Translator& translator, const ggml_tensor* node) {
  for (const auto pattern : {convolutionOf, attentionOf}) {
    Value fused = pattern(translator, node);
    if (fused.get_node() != nullptr) return fused;
  }
  const Value a = translator.value(node->src[0]);
  const Value b = translator.value(node->src[1]);
  if (a.get_element_type() != ov::element::f32 || b.get_element_type() != ov::element::f32)
    uncovered(node, "a product of integers");
  return matMulOf(node, a, b);
}

Value conv2d(Translator& translator, const ggml_tensor* node) { return convolve(translator, node); }

Value conv2dDepthwise(Translator& translator, const ggml_tensor* node) {
  if (!ggml_is_contiguous(node)) uncovered(node, "channels come first");
  const ggml_tensor* kernel = node->src[0];
  const Value weights = reshape(translator.value(kernel),
                                {size(kernel->ne[3]), 1, 1, size(kernel->ne[1]), size(kernel->ne[0])});
  const auto param = [&](int i) { return static_cast<size_t>(intParam(node, i)); };
  const ov::CoordinateDiff padding{intParam(node, 3), intParam(node, 2)};
  return std::make_shared<op::v1::GroupConvolution>(translator.value(node->src[1]), weights,
                                                    ov::Strides{param(1), param(0)}, padding, padding,
                                                    ov::Strides{param(5), param(4)});
}

Value im2col(Translator& /*translator*/, const ggml_tensor* node) {
  uncovered(node, "columns that no convolution takes");
}

}  // namespace rule
}  // namespace nd::openvino
