#include <numeric>

#include "rules.h"

namespace nd::openvino {

namespace op = ov::op;

ov::Shape shapeOf(const ggml_tensor* tensor) {
  ov::Shape shape(GGML_MAX_DIMS);
  for (size_t i = 0; i < GGML_MAX_DIMS; ++i)
    shape[i] = static_cast<size_t>(tensor->ne[GGML_MAX_DIMS - 1 - i]);
  return shape;
}

std::optional<ov::element::Type> elementType(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F32:
      return ov::element::f32;
    case GGML_TYPE_F16:
      return ov::element::f16;
    case GGML_TYPE_BF16:
      return ov::element::bf16;
    case GGML_TYPE_I32:
      return ov::element::i32;
    default:
      return std::nullopt;
  }
}

Value toComputeType(const Value& value) {
  const auto type = value.get_element_type();
  if (type == ov::element::f32 || type == ov::element::i32) return value;
  return std::make_shared<op::v0::Convert>(value, ov::element::f32);
}

Value scalar(float value) { return op::v0::Constant::create(ov::element::f32, ov::Shape{}, {value}); }

Value integers(const std::vector<int64_t>& values) {
  return op::v0::Constant::create(ov::element::i64, ov::Shape{values.size()}, values);
}

Value floats(const std::vector<float>& values, const ov::Shape& shape) {
  return op::v0::Constant::create(ov::element::f32, shape, values);
}

Value reshape(const Value& value, const ov::Shape& shape) {
  if (value.get_shape() == shape) return value;
  const auto before = ov::as_type_ptr<op::v1::Reshape>(value.get_node_shared_ptr());
  Value source = before ? before->input_value(0) : value;
  if (source.get_shape() == shape) return source;
  if (const auto narrow = narrowConstant(source))
    return widened(std::make_shared<op::v0::Constant>(*narrow, shape));
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  return std::make_shared<op::v1::Reshape>(source, integers(sizes), false);
}

Value transpose(const Value& value, const std::vector<int64_t>& order) {
  const ov::Shape& shape = value.get_shape();
  ov::Shape result;
  int64_t last = -1;
  bool moves = false;  // only axes of size 1 change places: the order in memory stays
  for (const int64_t axis : order) {
    const size_t size = shape[static_cast<size_t>(axis)];
    result.push_back(size);
    if (size == 1) continue;
    moves = moves || axis < last;
    last = axis;
  }
  if (!moves) return reshape(value, result);
  const bool swapsHeads = order == std::vector<int64_t>{0, 2, 1, 3};
  if (swapsHeads && shape[1] == shape[2]) {
    // OpenVINO 2026.4's CPU plugin drops this transpose after an attention with as many queries as heads,
    // where the shape stays the same. With one axis more it does not.
    const Value deeper = reshape(value, {shape[0], shape[1], shape[2], shape[3], 1});
    return reshape(std::make_shared<op::v1::Transpose>(deeper, integers({0, 2, 1, 3, 4})), result);
  }
  return std::make_shared<op::v1::Transpose>(value, integers(order));
}

Value slice(const Value& value, int64_t axis, int64_t begin, int64_t count) {
  if (begin == 0 && count == static_cast<int64_t>(value.get_shape()[static_cast<size_t>(axis)])) return value;
  return std::make_shared<op::v8::Slice>(value, integers({begin}), integers({begin + count}), integers({1}),
                                         integers({axis}));
}

Value concat(const std::vector<Value>& values, int64_t axis) {
  return std::make_shared<op::v0::Concat>(values, axis);
}

Value repeatTo(const Value& value, const ov::Shape& shape) {
  const ov::Shape& from = value.get_shape();
  if (from == shape) return value;
  std::vector<int64_t> repeats;
  bool broadcast = true;
  for (size_t i = 0; i < shape.size(); ++i) {
    repeats.push_back(static_cast<int64_t>(shape[i] / from[i]));
    broadcast = broadcast && (from[i] == 1 || from[i] == shape[i]);
  }
  if (broadcast) {
    const std::vector<int64_t> target(shape.begin(), shape.end());
    return std::make_shared<op::v3::Broadcast>(value, integers(target));
  }
  return std::make_shared<op::v0::Tile>(value, integers(repeats));
}

Value multiply(const Value& a, const Value& b) { return std::make_shared<op::v1::Multiply>(a, b); }
Value add(const Value& a, const Value& b) { return std::make_shared<op::v1::Add>(a, b); }

float floatParam(const ggml_tensor* node, int index) {
  float value = 0;
  std::memcpy(&value, node->op_params + index, sizeof(value));
  return value;
}

int32_t intParam(const ggml_tensor* node, int index) { return node->op_params[index]; }

const ggml_tensor* throughReshapes(const ggml_tensor* tensor) {
  while (tensor->op == GGML_OP_RESHAPE) tensor = tensor->src[0];
  return tensor;
}

namespace rule {

Value copy(Translator& translator, const ggml_tensor* node) {
  const bool wantsInteger = node->type == GGML_TYPE_I32;
  const Value source = translator.value(node->src[0]);
  const bool isInteger = source.get_element_type() == ov::element::i32;
  Value shaped = reshape(source, shapeOf(node));
  if (wantsInteger == isInteger) return shaped;
  return std::make_shared<op::v0::Convert>(shaped, wantsInteger ? ov::element::i32 : ov::element::f32);
}

Value reshapeView(Translator& translator, const ggml_tensor* node) {
  return reshape(translator.value(node->src[0]), shapeOf(node));
}

Value permute(Translator& translator, const ggml_tensor* node) {
  const ggml_tensor* before = throughReshapes(node->src[0]);
  const bool swapsOuter = intParam(node, 0) == 0 && intParam(node, 1) == 1 && intParam(node, 2) == 3;
  if (const Value* form = translator.remembered(before); form != nullptr && swapsOuter) {
    // What a convolution is in ggml: [N, OC, OH, OW] comes out of it as [OC, N, OH, OW] and is turned here.
    if (form->get_shape() == shapeOf(node)) return *form;
  }
  std::vector<int64_t> order(GGML_MAX_DIMS);
  for (int i = 0; i < GGML_MAX_DIMS; ++i) order[static_cast<size_t>(3 - intParam(node, i))] = 3 - i;
  return transpose(translator.value(node->src[0]), order);
}

Value transposeView(Translator& translator, const ggml_tensor* node) {
  return transpose(translator.value(node->src[0]), {0, 1, 3, 2});
}

Value concatenate(Translator& translator, const ggml_tensor* node) {
  return concat({translator.value(node->src[0]), translator.value(node->src[1])}, 3 - intParam(node, 0));
}

Value repeat(Translator& translator, const ggml_tensor* node) {
  return repeatTo(translator.value(node->src[0]), shapeOf(node));
}

Value pad(Translator& translator, const ggml_tensor* node) {
  Value value = translator.value(node->src[0]);
  if (intParam(node, 8) == 0) {
    std::vector<int64_t> before;
    std::vector<int64_t> after;
    for (int axis = GGML_MAX_DIMS - 1; axis >= 0; --axis) {
      before.push_back(intParam(node, 2 * axis));
      after.push_back(intParam(node, 2 * axis + 1));
    }
    return std::make_shared<op::v1::Pad>(value, integers(before), integers(after), scalar(0.0F),
                                         op::PadMode::CONSTANT);
  }
  for (int axis = 0; axis < GGML_MAX_DIMS; ++axis) {
    const int64_t left = intParam(node, 2 * axis);
    const int64_t right = intParam(node, 2 * axis + 1);
    const int64_t size = node->src[0]->ne[axis];
    if (left == 0 && right == 0) continue;
    if (left > size || right > size) uncovered(node, "it goes around more than once");
    std::vector<Value> parts;
    if (left > 0) parts.push_back(slice(value, 3 - axis, size - left, left));
    parts.push_back(value);
    if (right > 0) parts.push_back(slice(value, 3 - axis, 0, right));
    value = concat(parts, 3 - axis);
  }
  return value;
}

Value getRows(Translator& translator, const ggml_tensor* node) {
  const ggml_tensor* table = node->src[0];
  const ggml_tensor* rows = node->src[1];
  const Value index = translator.value(rows);
  if (index.get_element_type() != ov::element::i32) uncovered(node, "its indices are no integers");
  const Value from = translator.value(table);
  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  const bool whole = table->ne[2] == 1 && table->ne[3] == 1;
  Value taken;
  if (whole) {
    const Value flat = reshape(index, {size(ggml_nelements(rows))});
    const Value matrix = reshape(from, {size(table->ne[1]), size(table->ne[0])});
    // A narrow table stays narrow: what is taken from it becomes f32.
    const auto narrow = narrowConstant(matrix);
    taken =
        toComputeType(std::make_shared<op::v8::Gather>(narrow ? Value(narrow) : matrix, flat, integers({0})));
  } else {
    if (table->ne[3] != rows->ne[2] || table->ne[2] != rows->ne[1])
      uncovered(node, "its batches are broadcast");
    const Value each = reshape(index, {size(rows->ne[2]), size(rows->ne[1]), size(rows->ne[0])});
    taken = std::make_shared<op::v8::Gather>(from, each, integers({2}), 2);
  }
  return reshape(taken, shapeOf(node));
}

}  // namespace rule
}  // namespace nd::openvino
