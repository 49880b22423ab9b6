#include "rules.h"

namespace nd::openvino {
namespace {

namespace op = ov::op;

Value groupNormalized(Translator& translator, const ggml_tensor* node, const Value& factor,
                      const Value& bias) {
  const int64_t groups = intParam(node, 0);
  if (groups <= 0 || node->ne[2] % groups != 0) uncovered(node, "its groups are not equal");
  return std::make_shared<op::v12::GroupNormalization>(translator.value(node->src[0]), factor, bias, groups,
                                                       floatParam(node, 1));
}

// A vector over the channels, as [1, C, 1, 1].
bool isPerChannel(const ggml_tensor* tensor, const ggml_tensor* of) {
  return tensor->ne[0] == 1 && tensor->ne[1] == 1 && tensor->ne[2] == of->ne[2] && tensor->ne[3] == 1;
}

}  // namespace

Value affineGroupNormOf(Translator& translator, const ggml_tensor* node) {
  const ggml_tensor* product = node->src[0];
  if (product->op != GGML_OP_MUL || !translator.inside(product)) return {};
  const ggml_tensor* normalized = product->src[0];
  if (normalized->op != GGML_OP_GROUP_NORM || !translator.inside(normalized)) return {};
  if (!isPerChannel(product->src[1], normalized) || !isPerChannel(node->src[1], normalized)) return {};
  const auto channels = static_cast<size_t>(normalized->ne[2]);
  const Value factor = reshape(translator.value(product->src[1]), {channels});
  const Value bias = reshape(translator.value(node->src[1]), {channels});
  return groupNormalized(translator, normalized, factor, bias);
}

Value rule::groupNorm(Translator& translator, const ggml_tensor* node) {
  const auto channels = static_cast<size_t>(node->ne[2]);
  return groupNormalized(translator, node, floats(std::vector<float>(channels, 1.0F), {channels}),
                         floats(std::vector<float>(channels, 0.0F), {channels}));
}

}  // namespace nd::openvino
