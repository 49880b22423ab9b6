#include "translator.h"

#include <new>

#include "rules.h"

namespace nd::openvino {

bool Translator::inside(const ggml_tensor* node) const {
  const int index = graph_.indexOf(node);
  return index >= begin_ && index < end_ && result_.uncovered.count(index) == 0;
}

const Value* Translator::remembered(const ggml_tensor* node) const {
  const auto found = forms_.find(node);
  return found == forms_.end() ? nullptr : &found->second;
}

Value Translator::value(const ggml_tensor* tensor) {
  const auto known = values_.find(tensor);
  if (known != values_.end()) return known->second;
  Value made = make(tensor);
  values_[tensor] = made;
  return made;
}

Value Translator::make(const ggml_tensor* tensor) {
  if (isView(tensor)) return applyRule(*this, tensor);
  if (tensor->op == GGML_OP_NONE) return isWeight(tensor) ? constant(tensor) : input(tensor);
  if (!inside(tensor)) return input(tensor);
  Value made = applyRule(*this, tensor);
  if (made.get_partial_shape() != ov::PartialShape(shapeOf(tensor)))
    throw Uncovered(tensor, "its rule gives another shape");
  return made;
}

Value Translator::input(const ggml_tensor* tensor) {
  if (isOne(tensor)) return floats({1.0F}, {1, 1, 1, 1});
  const auto type = elementType(tensor->type);
  if (!type) throw Uncovered(tensor, std::string("an input of type ") + ggml_type_name(tensor->type));
  auto parameter = std::make_shared<ov::op::v0::Parameter>(*type, shapeOf(tensor));
  parameters_.push_back(parameter);
  sources_[parameter.get()] = graph_.idOf(tensor);
  result_.inputs.push_back(graph_.idOf(tensor));
  return toComputeType(parameter);
}

Value Translator::constant(const ggml_tensor* tensor) {
  if (!isInput(tensor)) return weightConstant(tensor, result_);
  auto parameter = std::make_shared<ov::op::v0::Parameter>(ov::element::f32, shapeOf(tensor));
  parameters_.push_back(parameter);
  result_.inputs.push_back(graph_.idOf(tensor));
  return parameter;
}

// Nodes of this part whose value the graph's user or a later part reads.
std::vector<int> Translator::neededAfterwards() const {
  std::vector<bool> needed(static_cast<size_t>(end_ - begin_), false);
  const auto mark = [&](const ggml_tensor* tensor) {
    const int index = graph_.indexOf(ownerOf(tensor));
    if (index >= begin_ && index < end_) needed[static_cast<size_t>(index - begin_)] = true;
  };
  for (int i = begin_; i < end_; ++i) {
    if (graph_.isResult(i)) mark(graph_.node(i));
  }
  for (int i = end_; i < graph_.nodes(); ++i) {
    for (const ggml_tensor* source : graph_.node(i)->src) {
      if (source != nullptr) mark(source);
    }
  }
  std::vector<int> list;
  for (int i = begin_; i < end_; ++i) {
    if (needed[static_cast<size_t>(i - begin_)]) list.push_back(i);
  }
  return list;
}

void Translator::addResult(const ggml_tensor* node, ov::ResultVector& results) {
  const auto type = elementType(node->type);
  if (!type) throw Uncovered(node, std::string("a result of type ") + ggml_type_name(node->type));
  const Value made = value(node);
  const Value out =
      made.get_element_type() == *type ? made : Value(std::make_shared<ov::op::v0::Convert>(made, *type));
  const ov::Node* origin = out.get_node();
  while (ov::is_type<ov::op::v1::Reshape>(origin)) origin = origin->input_value(0).get_node();
  const int id = graph_.idOf(node);
  const auto [at, first] = sources_.try_emplace(origin, id);
  if (!first) {
    result_.copies.push_back({at->second, id});
    return;
  }
  results.push_back(std::make_shared<ov::op::v0::Result>(out));
  result_.outputs.push_back(id);
}

Translation Translator::run() {
  const auto refuse = [&](const ggml_tensor* node, const ggml_tensor* user, const std::string& why) {
    const int own = graph_.indexOf(ownerOf(node));
    const int index = own >= begin_ && own < end_ ? own : graph_.indexOf(user);
    result_.uncovered[index] = why;
  };
  for (int i = begin_; i < end_; ++i) {
    const ggml_tensor* node = graph_.node(i);
    if (isView(node) || node->op == GGML_OP_NONE || isLazy(node) || graph_.indexOf(node) < 0) continue;
    try {
      value(node);
    } catch (const Uncovered& error) {
      refuse(error.node, node, error.what());
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      refuse(node, node, error.what());
    }
  }
  if (!result_.uncovered.empty()) return std::move(result_);
  ov::ResultVector results;
  for (const int index : neededAfterwards()) {
    const ggml_tensor* node = graph_.node(index);
    try {
      addResult(node, results);
    } catch (const Uncovered& error) {
      refuse(error.node, node, error.what());
    }
  }
  if (!result_.uncovered.empty() || results.empty()) return std::move(result_);
  result_.model = std::make_shared<ov::Model>(results, parameters_, "ggml");
  return std::move(result_);
}

}  // namespace nd::openvino
