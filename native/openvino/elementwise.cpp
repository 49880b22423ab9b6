#include <cmath>

#include "rules.h"

namespace nd::openvino::rule {

namespace op = ov::op;

namespace {

template <typename Node>
Value one(const Value& x) {
  return std::make_shared<Node>(x);
}

Value gelu(const Value& x, op::GeluApproximationMode mode) { return std::make_shared<op::v7::Gelu>(x, mode); }

// x * sigmoid(1.702 x): Swish with a factor.
Value geluQuick(const Value& x) { return std::make_shared<op::v4::Swish>(x, scalar(1.702F)); }

Value power(const Value& x, float exponent) { return std::make_shared<op::v1::Power>(x, scalar(exponent)); }

}  // namespace

Value binary(Translator& translator, const ggml_tensor* node) {
  if (node->op == GGML_OP_ADD) {
    Value fused = affineGroupNormOf(translator, node);
    if (fused.get_node() != nullptr) return fused;
  }
  const Value a = translator.value(node->src[0]);
  Value b = translator.value(node->src[1]);
  if (a.get_element_type() != ov::element::f32 || b.get_element_type() != ov::element::f32)
    uncovered(node, "arithmetic of integers");
  const ov::Shape shape = shapeOf(node);
  const ov::Shape from = b.get_shape();
  bool broadcasts = true;
  for (size_t i = 0; i < shape.size(); ++i) broadcasts = broadcasts && (from[i] == 1 || from[i] == shape[i]);
  if (!broadcasts) b = repeatTo(b, shape);
  switch (node->op) {
    case GGML_OP_SUB:
      return std::make_shared<op::v1::Subtract>(a, b);
    case GGML_OP_MUL:
      return multiply(a, b);
    case GGML_OP_DIV:
      return std::make_shared<op::v1::Divide>(a, b);
    default:
      return add(a, b);
  }
}

Value unary(Translator& translator, const ggml_tensor* node) {
  const Value x = translator.value(node->src[0]);
  switch (ggml_get_unary_op(node)) {
    case GGML_UNARY_OP_ABS:
      return one<op::v0::Abs>(x);
    case GGML_UNARY_OP_SGN:
      return one<op::v0::Sign>(x);
    case GGML_UNARY_OP_NEG:
      return one<op::v0::Negative>(x);
    case GGML_UNARY_OP_TANH:
      return one<op::v0::Tanh>(x);
    case GGML_UNARY_OP_ELU:
      return std::make_shared<op::v0::Elu>(x, 1.0);
    case GGML_UNARY_OP_RELU:
      return one<op::v0::Relu>(x);
    case GGML_UNARY_OP_SIGMOID:
      return one<op::v0::Sigmoid>(x);
    case GGML_UNARY_OP_GELU:
      return gelu(x, op::GeluApproximationMode::TANH);
    case GGML_UNARY_OP_GELU_ERF:
      return gelu(x, op::GeluApproximationMode::ERF);
    case GGML_UNARY_OP_GELU_QUICK:
      return geluQuick(x);
    case GGML_UNARY_OP_SILU:
      return std::make_shared<op::v4::Swish>(x);
    case GGML_UNARY_OP_HARDSWISH:
      return one<op::v4::HSwish>(x);
    case GGML_UNARY_OP_EXP:
      return one<op::v0::Exp>(x);
    case GGML_UNARY_OP_SOFTPLUS:
      return one<op::v4::SoftPlus>(x);
    case GGML_UNARY_OP_FLOOR:
      return one<op::v0::Floor>(x);
    case GGML_UNARY_OP_CEIL:
      return one<op::v0::Ceiling>(x);
    default:
      uncovered(node, "no rule for this unary operation");
  }
}

Value simple(Translator& translator, const ggml_tensor* node) {
  const Value x = translator.value(node->src[0]);
  switch (node->op) {
    case GGML_OP_SQR:
      return multiply(x, x);
    case GGML_OP_SQRT:
      return one<op::v0::Sqrt>(x);
    case GGML_OP_LOG:
      return one<op::v0::Log>(x);
    case GGML_OP_SIN:
      return one<op::v0::Sin>(x);
    case GGML_OP_COS:
      return one<op::v0::Cos>(x);
    case GGML_OP_CLAMP:
      return std::make_shared<op::v0::Clamp>(x, floatParam(node, 0), floatParam(node, 1));
    default:  // LEAKY_RELU
      return std::make_shared<op::v0::PRelu>(x, floats({floatParam(node, 0)}, {1}));
  }
}

Value gated(Translator& translator, const ggml_tensor* node) {
  const bool split = node->src[1] != nullptr;
  Value x = translator.value(node->src[0]);
  Value gate;
  if (split) {
    gate = translator.value(node->src[1]);
  } else {
    const int64_t half = node->ne[0];
    gate = slice(x, 3, half, half);
    x = slice(x, 3, 0, half);
    if (intParam(node, 1) != 0) std::swap(x, gate);
  }
  switch (ggml_get_glu_op(node)) {
    case GGML_GLU_OP_REGLU:
      return multiply(one<op::v0::Relu>(x), gate);
    case GGML_GLU_OP_GEGLU:
      return multiply(gelu(x, op::GeluApproximationMode::TANH), gate);
    case GGML_GLU_OP_GEGLU_ERF:
      return multiply(gelu(x, op::GeluApproximationMode::ERF), gate);
    case GGML_GLU_OP_GEGLU_QUICK:
      return multiply(geluQuick(x), gate);
    case GGML_GLU_OP_SWIGLU:
      return multiply(std::make_shared<op::v4::Swish>(x), gate);
    default:
      uncovered(node, "no rule for this gate");
  }
}

Value scale(Translator& translator, const ggml_tensor* node) {
  const float factor = floatParam(node, 0);
  const float bias = floatParam(node, 1);
  const Value x = translator.value(node->src[0]);
  const Value scaled = factor == 1.0F ? x : multiply(x, scalar(factor));
  return bias == 0.0F ? scaled : add(scaled, scalar(bias));
}

Value reduce(Translator& translator, const ggml_tensor* node) {
  const Value x = translator.value(node->src[0]);
  if (node->op == GGML_OP_MEAN) return std::make_shared<op::v1::ReduceMean>(x, integers({3}), true);
  const Value axes = node->op == GGML_OP_SUM ? integers({0, 1, 2, 3}) : integers({3});
  return std::make_shared<op::v1::ReduceSum>(x, axes, true);
}

Value arange(Translator& /*translator*/, const ggml_tensor* node) {
  std::vector<float> values;
  for (int64_t i = 0; i < node->ne[0]; ++i)
    values.push_back(floatParam(node, 0) + static_cast<float>(i) * floatParam(node, 2));
  return floats(values, shapeOf(node));
}

// Cosines first, then sines; of an odd width the last is 0.
Value timestepEmbedding(Translator& translator, const ggml_tensor* node) {
  const int width = intParam(node, 0);
  const auto period = static_cast<float>(intParam(node, 1));
  const int half = width / 2;
  std::vector<float> frequencies;
  frequencies.reserve(static_cast<size_t>(half));
  for (int i = 0; i < half; ++i)
    frequencies.push_back(std::exp(-std::log(period) * static_cast<float>(i) / static_cast<float>(half)));
  const auto steps = static_cast<size_t>(node->src[0]->ne[0]);
  const Value times = reshape(translator.value(node->src[0]), {1, 1, steps, 1});
  const Value angles = multiply(times, floats(frequencies, {1, 1, 1, static_cast<size_t>(half)}));
  std::vector<Value> parts{one<op::v0::Cos>(angles), one<op::v0::Sin>(angles)};
  if (node->ne[0] > 2 * half) {
    const size_t rest = static_cast<size_t>(node->ne[0]) - 2 * static_cast<size_t>(half);
    parts.push_back(floats(std::vector<float>(steps * rest, 0.0F), {1, 1, steps, rest}));
  }
  return concat(parts, 3);
}

Value norm(Translator& translator, const ggml_tensor* node) {
  return std::make_shared<op::v6::MVN>(translator.value(node->src[0]), integers({3}), true,
                                       floatParam(node, 0), op::MVNEpsMode::INSIDE_SQRT);
}

Value rmsNorm(Translator& translator, const ggml_tensor* node) {
  const Value x = translator.value(node->src[0]);
  const Value mean = std::make_shared<op::v1::ReduceMean>(power(x, 2.0F), integers({3}), true);
  const Value root = one<op::v0::Sqrt>(add(mean, scalar(floatParam(node, 0))));
  return multiply(x, std::make_shared<op::v1::Divide>(scalar(1.0F), root));
}

Value l2Norm(Translator& translator, const ggml_tensor* node) {
  const Value x = translator.value(node->src[0]);
  const Value sum = std::make_shared<op::v1::ReduceSum>(power(x, 2.0F), integers({3}), true);
  const Value length = std::make_shared<op::v1::Maximum>(one<op::v0::Sqrt>(sum), scalar(floatParam(node, 0)));
  return std::make_shared<op::v1::Divide>(x, length);
}

}  // namespace nd::openvino::rule
