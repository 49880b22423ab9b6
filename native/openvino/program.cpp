#include "program.h"

#include <algorithm>

#include "ggml-impl.h"
#include "rules.h"

namespace nd::openvino {
namespace {

// Between scattered memory and a dense array.
void copyElements(const ggml_tensor* tensor, uint8_t* dense, bool gather) {
  const size_t size = ggml_type_size(tensor->type);
  auto* base = static_cast<uint8_t*>(tensor->data);
  for (int64_t d = 0; d < tensor->ne[3]; ++d)
    for (int64_t c = 0; c < tensor->ne[2]; ++c)
      for (int64_t b = 0; b < tensor->ne[1]; ++b)
        for (int64_t a = 0; a < tensor->ne[0]; ++a, dense += size) {
          uint8_t* at = base + static_cast<size_t>(a) * tensor->nb[0] +
                        static_cast<size_t>(b) * tensor->nb[1] + static_cast<size_t>(c) * tensor->nb[2] +
                        static_cast<size_t>(d) * tensor->nb[3];
          std::memcpy(gather ? dense : at, gather ? at : dense, size);
        }
}

struct Range {
  const uint8_t* begin;
  const uint8_t* end;
};

Range rangeOf(const ggml_tensor* tensor) {
  const auto* at = static_cast<const uint8_t*>(tensor->data);
  return {at, at + ggml_nbytes(tensor)};
}

void noteChange(const ggml_tensor* tensor) {
  if (const auto block = blockOf(rootOf(tensor)->buffer)) block->changed(tensor->data, ggml_nbytes(tensor));
}

}  // namespace

Block* ownerOfWeights(const Graph& graph) {
  Block* first = nullptr;
  for (const ggml_tensor* weight : graph.weights()) {
    Block* block = blockThatHolds(weight).get();
    if (block == nullptr) continue;
    if (!graph.canBeInput(weight)) return block;
    if (first == nullptr) first = block;
  }
  return first;
}

// Results that are copies: those of inputs are read before anything is written, those of other results
// afterwards.
void Program::infer(Part& part, const Graph& graph) {
  std::vector<std::vector<uint8_t>> dense(part.copies.size());
  const auto read = [&](bool inputs) {
    for (size_t i = 0; i < part.copies.size(); ++i) {
      const ggml_tensor* from = graph.tensor(part.copies[i].from);
      const bool isInput = std::count(part.inputs.begin(), part.inputs.end(), part.copies[i].from) > 0;
      if (isInput != inputs) continue;
      dense[i].resize(static_cast<size_t>(ggml_nelements(from)) * ggml_type_size(from->type));
      copyElements(from, dense[i].data(), true);
    }
  };
  read(true);
  if (part.model) inferModel(part, graph);
  read(false);
  for (size_t i = 0; i < part.copies.size(); ++i) {
    const ggml_tensor* to = graph.tensor(part.copies[i].to);
    copyElements(to, dense[i].data(), false);
    noteChange(to);
  }
}

void Program::bindWeight(Part& part, size_t input, const ggml_tensor* weight) {
  part.bound.resize(part.inputs.size());
  const std::shared_ptr<Block> block = blockOf(rootOf(weight)->buffer);
  std::shared_ptr<const float> values = block->unpacked(weight);
  if (part.bound[input].values == values) return;
  // OpenVINO takes memory that it may write to, and only reads that of inputs.
  part.request.set_input_tensor(
      input, ov::Tensor(ov::element::f32, shapeOf(weight), const_cast<float*>(values.get())));
  part.bound[input] = {block.get(), std::move(values)};
}

void Program::tieTo(const Graph& graph) {
  blocks = {ownerOfWeights(graph)};
  blocks.erase(nullptr);
  for (const ggml_tensor* weight : graph.weights()) {
    if (adaptive && graph.canBeInput(weight)) continue;
    std::shared_ptr<Block> block = blockThatHolds(weight);
    if (!block) continue;
    const size_t bytes = ggml_nbytes(weight);
    const Id content = block->content(weight->data, bytes);
    blocks.insert(block.get());
    shared.push_back({std::move(block), weight->data, bytes, content});
  }
}

bool Program::unchanged() const {
  return std::all_of(shared.begin(), shared.end(), [](const SharedWeight& weight) {
    return weight.block->content(weight.data, weight.bytes) == weight.content;
  });
}

bool Program::isOf(const std::set<Block*>& of) const {
  return std::any_of(blocks.begin(), blocks.end(), [&](Block* block) { return of.count(block) != 0; });
}

// Long enough that trying again costs little beside what is computed meanwhile.
bool Program::expired() const {
  return refused && std::chrono::steady_clock::now() - made > std::chrono::minutes(1);
}

// Who runs now does not read it: a weight's memory does not go while its model computes. Requests keep the
// address until the next run, which binds every weight anew.
void Program::unbind(const Block* block) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  for (Part& part : parts)
    for (Bound& bound : part.bound)
      if (bound.block == block) bound = {};
}

void Program::bindWeights(const Graph& graph) {
  if (!adaptive) return;
  const std::lock_guard lock(mutex_);
  for (Part& part : parts) {
    for (size_t i = 0; i < part.inputs.size(); ++i) {
      const ggml_tensor* tensor = graph.tensor(part.inputs[i]);
      if (part.model && isWeight(tensor)) bindWeight(part, i, tensor);
    }
  }
}

void Program::write(Part& part, std::ostream& stream) {
  const std::lock_guard lock(mutex_);
  part.model.export_model(stream);
}

void Program::inferModel(Part& part, const Graph& graph) {
  std::vector<Range> read;
  for (size_t i = 0; i < part.inputs.size(); ++i) {
    ggml_tensor* tensor = graph.tensor(part.inputs[i]);
    if (isWeight(tensor)) {
      bindWeight(part, i, tensor);
      continue;
    }
    const auto type = *elementType(tensor->type);
    if (ggml_is_contiguous(tensor)) {
      read.push_back(rangeOf(tensor));
      part.request.set_input_tensor(i, ov::Tensor(type, shapeOf(tensor), tensor->data));
    } else {
      ov::Tensor dense(type, shapeOf(tensor));
      copyElements(tensor, static_cast<uint8_t*>(dense.data()), true);
      part.request.set_input_tensor(i, dense);
    }
  }
  // OpenVINO runs nodes in an order of its own, so memory that is also an input's must be written afterwards.
  std::vector<ov::Tensor> aside(part.outputs.size());
  for (size_t i = 0; i < part.outputs.size(); ++i) {
    ggml_tensor* tensor = graph.tensor(part.outputs[i]);
    const Range range = rangeOf(tensor);
    bool direct = ggml_is_contiguous(tensor);
    for (const Range& other : read) direct = direct && (range.end <= other.begin || other.end <= range.begin);
    const auto type = *elementType(tensor->type);
    aside[i] = direct ? ov::Tensor(type, shapeOf(tensor), tensor->data) : ov::Tensor(type, shapeOf(tensor));
    part.request.set_output_tensor(i, aside[i]);
  }
  part.request.infer();
  for (size_t i = 0; i < part.outputs.size(); ++i) {
    ggml_tensor* tensor = graph.tensor(part.outputs[i]);
    if (aside[i].data() != tensor->data) copyElements(tensor, static_cast<uint8_t*>(aside[i].data()), false);
    noteChange(tensor);
  }
}

ggml_status Program::run(const Graph& graph, const CpuNodes& cpu) {
  const std::lock_guard lock(mutex_);
  for (Part& part : parts) {
    if (cpu.aborted()) return GGML_STATUS_ABORTED;
    if (part.compiled) {
      infer(part, graph);
      continue;
    }
    ggml_cgraph slice = graph.slice(part.begin, part.end);
    const ggml_status status = cpu.compute(&slice);
    if (status != GGML_STATUS_SUCCESS) return status;
    for (int i = part.begin; i < part.end; ++i) {
      const ggml_tensor* node = graph.node(i);
      if (isView(node)) continue;
      noteChange(node);
    }
  }
  return GGML_STATUS_SUCCESS;
}

}  // namespace nd::openvino
