// Attention in both of the engine's forms, and what belongs to it.
#include <cmath>

#include "rules.h"

namespace nd::openvino {
namespace {

namespace op = ov::op;

Value attention(const Value& q, const Value& k, const Value& v, const Value& mask, float scale) {
  const Value factor = op::v0::Constant::create(ov::element::f32, ov::Shape{}, {scale});
  const Value shift = mask.get_node() != nullptr ? mask : scalar(0.0F);
  return std::make_shared<op::v13::ScaledDotProductAttention>(q, k, v, shift, factor, false);
}

// Heads of keys and values that several heads of the queries share, once for each of those.
Value shareHeads(const Value& value, size_t heads) {
  const ov::Shape& shape = value.get_shape();
  if (shape[1] == heads) return value;
  const size_t each = heads / shape[1];
  const Value spread = repeatTo(reshape(value, {shape[0], shape[1], 1, shape[2], shape[3]}),
                                {shape[0], shape[1], each, shape[2], shape[3]});
  return reshape(spread, {shape[0], heads, shape[2], shape[3]});
}

// The mask of a head: modulo their number.
Value fitMask(const Value& mask, const ov::Shape& scores) {
  const Value rows = slice(mask, 2, 0, static_cast<int64_t>(scores[2]));
  ov::Shape wanted = rows.get_shape();
  for (const size_t axis : {size_t{0}, size_t{1}})
    if (wanted[axis] != 1) wanted[axis] = scores[axis];
  return repeatTo(rows, wanted);
}

const ggml_tensor* throughCopies(const Translator& translator, const ggml_tensor* tensor) {
  while ((tensor->op == GGML_OP_CPY || tensor->op == GGML_OP_RESHAPE) &&
         (isView(tensor) || translator.inside(tensor)))
    tensor = tensor->src[0];
  return tensor;
}

// Keys or values that the engine fills up to a multiple of 256 rows: the tensor before that. Null when not
// so.
const ggml_tensor* unpadded(const Translator& translator, const ggml_tensor* tensor, int64_t* rows) {
  const ggml_tensor* source = throughCopies(translator, tensor);
  if (source->op != GGML_OP_PAD || !translator.inside(source)) return nullptr;
  for (int i = 0; i < 9; ++i)
    if (i != 3 && intParam(source, i) != 0) return nullptr;
  *rows = source->src[0]->ne[1];
  return source->src[0];
}

// The engine's mask that only hides the rows that fill up: zeros, then -infinity.
bool hidesFrom(const Translator& translator, const ggml_tensor* mask, int64_t rows) {
  const ggml_tensor* parts = throughCopies(translator, mask);
  if (parts->op != GGML_OP_CONCAT || !translator.inside(parts) || intParam(parts, 0) != 0) return false;
  const auto filledWith = [&](const ggml_tensor* part, float value) {
    if (part->op != GGML_OP_REPEAT || !translator.inside(part)) return false;
    const ggml_tensor* scaled = throughReshapes(part->src[0]);
    return scaled->op == GGML_OP_SCALE && isOne(throughReshapes(scaled->src[0])) &&
           floatParam(scaled, 0) == value && floatParam(scaled, 1) == 0.0F;
  };
  return parts->src[0]->ne[0] == rows && filledWith(parts->src[0], 0.0F) &&
         filledWith(parts->src[1], -INFINITY);
}

}  // namespace

// (softmax(q k^T * scale [+ mask])) v, v given transposed.
Value attentionOf(Translator& translator, const ggml_tensor* node) {
  const ggml_tensor* weights = node->src[1];
  if (weights->op != GGML_OP_SOFT_MAX || !translator.inside(weights) || weights->src[1] != nullptr ||
      weights->src[2] != nullptr)
    return {};
  float scale = floatParam(weights, 0);
  const ggml_tensor* scores = weights->src[0];
  const ggml_tensor* mask = nullptr;
  if (scores->op == GGML_OP_ADD && translator.inside(scores)) {
    if (scale != 1.0F) return {};
    mask = scores->src[1];
    scores = scores->src[0];
  }
  if (scores->op == GGML_OP_SCALE && translator.inside(scores) && floatParam(scores, 1) == 0.0F) {
    scale *= floatParam(scores, 0);
    scores = scores->src[0];
  }
  if (scores->op != GGML_OP_MUL_MAT || !translator.inside(scores)) return {};
  const ggml_tensor* keys = scores->src[0];
  const ggml_tensor* queries = scores->src[1];
  const ggml_tensor* values = node->src[0];
  if (queries->ne[2] % keys->ne[2] != 0 || queries->ne[3] != keys->ne[3] || values->ne[2] != keys->ne[2] ||
      values->ne[3] != keys->ne[3])
    return {};
  const auto heads = static_cast<size_t>(queries->ne[2]);
  const Value q = translator.value(queries);
  const Value k = shareHeads(translator.value(keys), heads);
  const Value v = shareHeads(transpose(translator.value(values), {0, 1, 3, 2}), heads);
  Value shift;
  if (mask != nullptr) shift = fitMask(translator.value(mask), shapeOf(scores));
  return attention(q, k, v, shift, scale);
}

namespace rule {

Value flashAttention(Translator& translator, const ggml_tensor* node) {
  if (floatParam(node, 1) != 0.0F || floatParam(node, 2) != 0.0F || node->src[4] != nullptr)
    uncovered(node, "slopes, caps or sinks");
  const ggml_tensor* keys = node->src[1];
  const ggml_tensor* values = node->src[2];
  const ggml_tensor* mask = node->src[3];
  int64_t rows = keys->ne[1];
  int64_t valueRows = rows;
  const ggml_tensor* shortKeys = mask == nullptr ? nullptr : unpadded(translator, keys, &rows);
  const ggml_tensor* shortValues = shortKeys == nullptr ? nullptr : unpadded(translator, values, &valueRows);
  Value shift;
  if (shortValues != nullptr && rows == valueRows && hidesFrom(translator, mask, rows)) {
    keys = shortKeys;
    values = shortValues;
  } else if (mask != nullptr) {
    const ov::Shape scores{static_cast<size_t>(node->src[0]->ne[3]), static_cast<size_t>(node->src[0]->ne[2]),
                           static_cast<size_t>(node->src[0]->ne[1]), static_cast<size_t>(keys->ne[1])};
    shift = fitMask(translator.value(mask), scores);
  }
  const auto heads = static_cast<size_t>(node->src[0]->ne[2]);
  const Value k = shareHeads(translator.value(keys), heads);
  const Value v = shareHeads(translator.value(values), heads);
  const Value result = attention(translator.value(node->src[0]), k, v, shift, floatParam(node, 0));
  return transpose(result, {0, 2, 1, 3});
}

Value softMax(Translator& translator, const ggml_tensor* node) {
  if (floatParam(node, 1) != 0.0F || node->src[2] != nullptr) uncovered(node, "slopes or sinks");
  Value x = translator.value(node->src[0]);
  if (floatParam(node, 0) != 1.0F) x = multiply(x, scalar(floatParam(node, 0)));
  if (node->src[1] != nullptr) x = add(x, fitMask(translator.value(node->src[1]), shapeOf(node)));
  return std::make_shared<op::v8::Softmax>(x, 3);
}

Value diagMaskInf(Translator& translator, const ggml_tensor* node) {
  const int32_t past = intParam(node, 0);
  const int64_t rows = node->ne[1];
  const int64_t columns = node->ne[0];
  std::vector<float> mask(static_cast<size_t>(rows * columns), 0.0F);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = past + row + 1; column < columns; ++column)
      mask[static_cast<size_t>(row * columns + column)] = -INFINITY;
  return add(translator.value(node->src[0]),
             floats(mask, {1, 1, static_cast<size_t>(rows), static_cast<size_t>(columns)}));
}

}  // namespace rule
}  // namespace nd::openvino
