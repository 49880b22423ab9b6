// Weights as constants over ggml's own memory. Types that OpenVINO has no memory for are unpacked.
#include "estimate.h"
#include "rules.h"

namespace ov {
// Of OpenVINO's transformations: keeps the conversion of a constant beside it, so that the plugin may keep
// the constant narrow. The library exports it, the package has no header for it.
void mark_as_decompression(const std::shared_ptr<Node>& node);
}  // namespace ov

namespace nd::openvino {
namespace {

namespace op = ov::op;

// Over ggml's memory where that is ours, else a copy.
std::shared_ptr<op::v0::Constant> sharedConstant(const ggml_tensor* tensor, const ov::element::Type& type,
                                                 const std::shared_ptr<Block>& block) {
  if (!block) return std::make_shared<op::v0::Constant>(type, shapeOf(tensor), tensor->data);
  return std::make_shared<op::v0::Constant>(type, shapeOf(tensor), tensor->data, block);
}

std::shared_ptr<op::v0::Constant> unpacked(const ggml_tensor* tensor) {
  const ggml_type_traits* traits = ggml_get_type_traits(tensor->type);
  if (traits->to_float == nullptr) uncovered(tensor, "no rule for this type of weights");
  ov::Tensor values(ov::element::f32, shapeOf(tensor));
  const int64_t rows = ggml_nrows(tensor);
  const auto* from = static_cast<const uint8_t*>(tensor->data);
  for (int64_t row = 0; row < rows; ++row)
    traits->to_float(from + static_cast<size_t>(row) * tensor->nb[1],
                     values.data<float>() + row * tensor->ne[0], tensor->ne[0]);
  return std::make_shared<op::v0::Constant>(values);
}

}  // namespace

Value weightConstant(const ggml_tensor* tensor, Translation& result) {
  if (!ggml_is_contiguous(tensor)) uncovered(tensor, "scattered weights");
  result.constantBytes += constantBytes(tensor);
  const auto type = elementType(tensor->type);
  result.storedBytes += static_cast<uint64_t>(ggml_nelements(tensor)) * (type ? type->size() : sizeof(float));
  if (!type) return unpacked(tensor);
  const auto constant = sharedConstant(tensor, *type, blockThatHolds(tensor));
  if (*type == ov::element::f32 || *type == ov::element::i32) return constant;
  return widened(constant);
}

Value widened(const std::shared_ptr<op::v0::Constant>& constant) {
  const auto converted = std::make_shared<op::v0::Convert>(constant, ov::element::f32);
  ov::mark_as_decompression(converted);
  return converted;
}

std::shared_ptr<op::v0::Constant> narrowConstant(const Value& value) {
  const auto convert = ov::as_type_ptr<op::v0::Convert>(value.get_node_shared_ptr());
  if (!convert) return nullptr;
  return ov::as_type_ptr<op::v0::Constant>(convert->get_input_node_shared_ptr(0));
}

}  // namespace nd::openvino
