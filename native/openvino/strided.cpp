// Views: any look at memory, as slices, a transpose and reshapes where the strides nest, else by indices.
#include <algorithm>
#include <numeric>

#include "rules.h"

namespace nd::openvino {
namespace {

namespace op = ov::op;

struct Axis {
  int dimension;
  int64_t count;
  int64_t stride;
};

int64_t elements(const Value& value) { return static_cast<int64_t>(ov::shape_size(value.get_shape())); }

Value byIndices(const Value& base, const int64_t* ne, const int64_t* strides, int64_t offset,
                const ov::Shape& shape) {
  std::vector<int64_t> indices;
  indices.reserve(ov::shape_size(shape));
  for (int64_t d = 0; d < ne[3]; ++d)
    for (int64_t c = 0; c < ne[2]; ++c)
      for (int64_t b = 0; b < ne[1]; ++b)
        for (int64_t a = 0; a < ne[0]; ++a)
          indices.push_back(offset + a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]);
  const Value flat = reshape(base, {static_cast<size_t>(elements(base))});
  return reshape(std::make_shared<op::v8::Gather>(flat, integers(indices), integers({0})), shape);
}

// The base seen with one axis for each stride: axis i has size stride(i-1) / stride(i). Empty where the
// strides do not nest.
Value bySlices(const Value& base, std::vector<Axis> axes, int64_t offset, const ov::Shape& shape) {
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.stride > b.stride; });
  const int64_t outer = axes.front().stride;
  int64_t last = offset;
  for (const Axis& axis : axes) last += (axis.count - 1) * axis.stride;
  const int64_t total = elements(base);
  Value whole = base;
  int64_t rows = total / outer;
  if (total % outer != 0) {
    if (last >= rows * outer) return {};
    whole = slice(reshape(base, {static_cast<size_t>(total)}), 0, 0, rows * outer);
  }
  ov::Shape grid;
  std::vector<int64_t> starts;
  ov::Shape taken;
  int64_t size = rows;
  int64_t rest = offset;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Axis& axis = axes[i];
    const int64_t start = rest / axis.stride;
    rest %= axis.stride;
    if (start + axis.count > size) return {};
    grid.push_back(static_cast<size_t>(size));
    starts.push_back(start);
    taken.push_back(static_cast<size_t>(axis.count));
    const int64_t next = i + 1 < axes.size() ? axes[i + 1].stride : 1;
    if (axis.stride % next != 0) return {};
    size = axis.stride / next;
  }
  if (axes.back().stride > 1) {
    grid.push_back(static_cast<size_t>(axes.back().stride));
    starts.push_back(rest);
    taken.push_back(1);
  }
  Value value = reshape(whole, grid);
  for (size_t i = 0; i < grid.size(); ++i)
    value = slice(value, static_cast<int64_t>(i), starts[i], static_cast<int64_t>(taken[i]));
  taken.resize(axes.size());
  value = reshape(value, taken);
  std::vector<int64_t> order(axes.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return axes[static_cast<size_t>(a)].dimension > axes[static_cast<size_t>(b)].dimension;
  });
  return reshape(transpose(value, order), shape);
}

}  // namespace

Value strided(const ggml_tensor* node, const Value& base, const int64_t* ne, const int64_t* strides,
              int64_t offset) {
  const ov::Shape shape = shapeOf(node);
  std::vector<Axis> axes;
  bool nests = true;
  for (int i = 0; i < GGML_MAX_DIMS; ++i) {
    if (ne[i] == 1) continue;
    axes.push_back({i, ne[i], strides[i]});
    nests = nests && strides[i] > 0;
  }
  if (axes.empty()) axes.push_back({0, 1, 1});
  if (nests) {
    Value value = bySlices(base, axes, offset, shape);
    if (value.get_node() != nullptr) return value;
  }
  return byIndices(base, ne, strides, offset, shape);
}

namespace rule {

Value view(Translator& translator, const ggml_tensor* node) {
  const ggml_tensor* owner = ownerOf(node);
  if (!ggml_is_contiguous(owner)) uncovered(node, "a view of scattered memory");
  const size_t from = owner->view_src != nullptr ? owner->view_offs : 0;
  const auto bytes = static_cast<int64_t>(node->view_offs) - static_cast<int64_t>(from);
  const bool same = bytes == 0 && ggml_is_contiguous(node) && ggml_nelements(node) == ggml_nelements(owner);
  const Value base = translator.value(owner);
  if (same) return reshape(base, shapeOf(node));
  const auto size = static_cast<int64_t>(ggml_type_size(node->type));
  if (ggml_blck_size(node->type) != 1 || node->type != owner->type)
    uncovered(node, "a view of packed memory");
  int64_t strides[GGML_MAX_DIMS];
  for (int i = 0; i < GGML_MAX_DIMS; ++i) {
    if (static_cast<int64_t>(node->nb[i]) % size != 0) uncovered(node, "a view between elements");
    strides[i] = static_cast<int64_t>(node->nb[i]) / size;
  }
  int64_t last = bytes / size;
  for (int i = 0; i < GGML_MAX_DIMS; ++i) last += (node->ne[i] - 1) * strides[i];
  if (bytes < 0 || bytes % size != 0 || last >= ggml_nelements(owner))
    uncovered(node, "a view beyond its source");
  return strided(node, base, node->ne, strides, bytes / size);
}

}  // namespace rule
}  // namespace nd::openvino
