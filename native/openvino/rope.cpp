// ROPE: rotates pairs of channels by angles that grow with the position. Without YaRN's extension, which no
// image model uses.
#include <cmath>

#include "rules.h"

namespace nd::openvino::rule {

namespace op = ov::op;

namespace {

// Which of a token's four positions (time, height, width, extra) turns each pair.
std::vector<int64_t> sectionOfPairs(const ggml_tensor* node, int pairs, bool interleaved) {
  int sections[4];
  for (int i = 0; i < 4; ++i) sections[i] = intParam(node, 11 + i);
  const int all = sections[0] + sections[1] + sections[2] + sections[3];
  if (all <= 0) uncovered(node, "no sections");
  std::vector<int64_t> chosen;
  for (int pair = 0; pair < pairs; ++pair) {
    const int at = pair % all;
    int64_t section = 3;
    if (interleaved) {
      if (at % 3 == 1 && at < 3 * sections[1])
        section = 1;
      else if (at % 3 == 2 && at < 3 * sections[2])
        section = 2;
      else if (at % 3 == 0 && at < 3 * sections[0])
        section = 0;
    } else if (at < sections[0]) {
      section = 0;
    } else if (at < sections[0] + sections[1]) {
      section = 1;
    } else if (at < sections[0] + sections[1] + sections[2]) {
      section = 2;
    }
    chosen.push_back(section);
  }
  return chosen;
}

// [1, tokens, 1, pairs]
Value anglesOf(Translator& translator, const ggml_tensor* node, int pairs, bool sectioned, bool interleaved) {
  const auto tokens = static_cast<size_t>(node->ne[2]);
  const auto count = static_cast<size_t>(pairs);
  const Value positions = std::make_shared<op::v0::Convert>(translator.value(node->src[1]), ov::element::f32);
  Value each;
  if (sectioned) {
    const Value table = reshape(positions, {4, tokens});
    const Value picked = std::make_shared<op::v8::Gather>(
        table, integers(sectionOfPairs(node, pairs, interleaved)), integers({0}));
    each = reshape(transpose(picked, {1, 0}), {1, tokens, 1, count});
  } else {
    each = reshape(positions, {1, tokens, 1, 1});
  }
  const float base = std::pow(floatParam(node, 5), -2.0F / static_cast<float>(2 * pairs));
  std::vector<float> frequencies;
  float frequency = floatParam(node, 6);
  for (int i = 0; i < pairs; ++i, frequency *= base) frequencies.push_back(frequency);
  Value angles = multiply(each, floats(frequencies, {1, 1, 1, count}));
  if (node->src[2] != nullptr) {
    const auto known = static_cast<size_t>(ggml_nelements(node->src[2]));
    const Value factors = slice(reshape(translator.value(node->src[2]), {1, 1, 1, known}), 3, 0, pairs);
    angles = std::make_shared<op::v1::Divide>(angles, factors);
  }
  return angles;
}

}  // namespace

Value rope(Translator& translator, const ggml_tensor* node) {
  const int width = intParam(node, 1);
  const int mode = intParam(node, 2);
  if (floatParam(node, 7) != 0.0F) uncovered(node, "YaRN");
  const bool sectioned = (mode & GGML_ROPE_TYPE_MROPE) != 0;
  const bool interleaved = mode == GGML_ROPE_TYPE_IMROPE;
  if (mode == GGML_ROPE_TYPE_VISION) uncovered(node, "the vision form");
  const int pairs = width / 2;
  const float magnitude = floatParam(node, 8);
  const Value angles = anglesOf(translator, node, pairs, sectioned, interleaved);
  Value cosine = std::make_shared<op::v0::Cos>(angles);
  Value sine = std::make_shared<op::v0::Sin>(angles);
  if (magnitude != 1.0F) {
    cosine = multiply(cosine, scalar(magnitude));
    sine = multiply(sine, scalar(magnitude));
  }
  const Value x = translator.value(node->src[0]);
  const ov::Shape shape = shapeOf(node);
  const auto count = static_cast<size_t>(pairs);
  const bool adjacent = mode == GGML_ROPE_TYPE_NORMAL;
  const Value turned = slice(x, 3, 0, width);
  Value first;
  Value second;
  if (adjacent) {
    const Value split = reshape(turned, {shape[0], shape[1], shape[2], count, 2});
    const ov::Shape plain{shape[0], shape[1], shape[2], count};
    first = reshape(slice(split, 4, 0, 1), plain);
    second = reshape(slice(split, 4, 1, 1), plain);
  } else {
    first = slice(turned, 3, 0, pairs);
    second = slice(turned, 3, pairs, pairs);
  }
  const Value a = std::make_shared<op::v1::Subtract>(multiply(first, cosine), multiply(second, sine));
  const Value b = add(multiply(first, sine), multiply(second, cosine));
  Value result;
  if (adjacent) {
    const ov::Shape thin{shape[0], shape[1], shape[2], count, 1};
    result = reshape(concat({reshape(a, thin), reshape(b, thin)}, 4),
                     {shape[0], shape[1], shape[2], static_cast<size_t>(width)});
  } else {
    result = concat({a, b}, 3);
  }
  if (width == node->ne[0]) return result;
  return concat({result, slice(x, 3, width, node->ne[0] - width)}, 3);
}

}  // namespace nd::openvino::rule
