#include "rules.h"

namespace nd::openvino::rule {

namespace op = ov::op;

Value upscale(Translator& translator, const ggml_tensor* node) {
  using Interpolate = op::v4::Interpolate;
  const ggml_tensor* source = node->src[0];
  const Value x = translator.value(source);
  Value same = x;
  if (node->ne[2] != source->ne[2] || node->ne[3] != source->ne[3])
    uncovered(node, "channels or images are resampled");
  if (node->ne[0] == source->ne[0] && node->ne[1] == source->ne[1]) return same;
  const int32_t flags = intParam(node, 0);
  if ((flags & GGML_SCALE_FLAG_ANTIALIAS) != 0) uncovered(node, "antialiasing");
  Interpolate::InterpolateAttrs attributes;
  attributes.shape_calculation_mode = Interpolate::ShapeCalcMode::SIZES;
  attributes.pads_begin = {0, 0, 0, 0};
  attributes.pads_end = {0, 0, 0, 0};
  attributes.cube_coeff = -0.75;
  switch (flags & 0xFF) {
    case GGML_SCALE_MODE_NEAREST:
      // At other factors the two round differently now and then.
      if (node->ne[0] % source->ne[0] != 0 || node->ne[1] % source->ne[1] != 0)
        uncovered(node, "a broken factor");
      attributes.mode = Interpolate::InterpolateMode::NEAREST;
      attributes.coordinate_transformation_mode = Interpolate::CoordinateTransformMode::ASYMMETRIC;
      attributes.nearest_mode = Interpolate::NearestMode::FLOOR;
      break;
    case GGML_SCALE_MODE_BILINEAR:
      attributes.mode = Interpolate::InterpolateMode::LINEAR_ONNX;
      attributes.coordinate_transformation_mode = (flags & GGML_SCALE_FLAG_ALIGN_CORNERS) != 0
                                                      ? Interpolate::CoordinateTransformMode::ALIGN_CORNERS
                                                      : Interpolate::CoordinateTransformMode::HALF_PIXEL;
      break;
    default:
      uncovered(node, "no rule for this interpolation");
  }
  const Value scales = floats({static_cast<float>(node->ne[1]) / static_cast<float>(source->ne[1]),
                               static_cast<float>(node->ne[0]) / static_cast<float>(source->ne[0])},
                              {2});
  return std::make_shared<Interpolate>(x, integers({node->ne[1], node->ne[0]}), scales, integers({2, 3}),
                                       attributes);
}

Value pool2d(Translator& translator, const ggml_tensor* node) {
  const auto param = [&](int i) { return static_cast<size_t>(intParam(node, i)); };
  const ov::Shape kernel{param(2), param(1)};
  const ov::Strides strides{param(4), param(3)};
  const ov::Shape padding{param(6), param(5)};
  const Value x = translator.value(node->src[0]);
  if (intParam(node, 0) == GGML_OP_POOL_MAX)
    return std::make_shared<op::v1::MaxPool>(x, strides, padding, padding, kernel);
  if (intParam(node, 0) != GGML_OP_POOL_AVG) uncovered(node, "no rule for this pooling");
  return std::make_shared<op::v1::AvgPool>(x, strides, padding, padding, kernel, false);
}

}  // namespace nd::openvino::rule
