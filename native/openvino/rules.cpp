#include "rules.h"

#include <array>

namespace nd::openvino {
namespace {

using Table = std::array<Rule, GGML_OP_COUNT>;

Table makeTable() {
  Table table{};
  for (const ggml_op op : {GGML_OP_DUP, GGML_OP_CONT, GGML_OP_CPY}) table[op] = rule::copy;
  for (const ggml_op op : {GGML_OP_ADD, GGML_OP_ADD1, GGML_OP_SUB, GGML_OP_MUL, GGML_OP_DIV})
    table[op] = rule::binary;
  for (const ggml_op op :
       {GGML_OP_SQR, GGML_OP_SQRT, GGML_OP_LOG, GGML_OP_SIN, GGML_OP_COS, GGML_OP_CLAMP, GGML_OP_LEAKY_RELU})
    table[op] = rule::simple;
  for (const ggml_op op : {GGML_OP_SUM, GGML_OP_SUM_ROWS, GGML_OP_MEAN}) table[op] = rule::reduce;
  table[GGML_OP_RESHAPE] = rule::reshapeView;
  table[GGML_OP_PERMUTE] = rule::permute;
  table[GGML_OP_TRANSPOSE] = rule::transposeView;
  table[GGML_OP_VIEW] = rule::view;
  table[GGML_OP_CONCAT] = rule::concatenate;
  table[GGML_OP_REPEAT] = rule::repeat;
  table[GGML_OP_PAD] = rule::pad;
  table[GGML_OP_GET_ROWS] = rule::getRows;
  table[GGML_OP_UNARY] = rule::unary;
  table[GGML_OP_GLU] = rule::gated;
  table[GGML_OP_SCALE] = rule::scale;
  table[GGML_OP_ARANGE] = rule::arange;
  table[GGML_OP_TIMESTEP_EMBEDDING] = rule::timestepEmbedding;
  table[GGML_OP_NORM] = rule::norm;
  table[GGML_OP_RMS_NORM] = rule::rmsNorm;
  table[GGML_OP_L2_NORM] = rule::l2Norm;
  table[GGML_OP_GROUP_NORM] = rule::groupNorm;
  table[GGML_OP_MUL_MAT] = rule::matMul;
  table[GGML_OP_CONV_2D] = rule::conv2d;
  table[GGML_OP_CONV_2D_DW] = rule::conv2dDepthwise;
  table[GGML_OP_IM2COL] = rule::im2col;
  table[GGML_OP_IM2COL_3D] = rule::im2col;
  table[GGML_OP_SOFT_MAX] = rule::softMax;
  table[GGML_OP_DIAG_MASK_INF] = rule::diagMaskInf;
  table[GGML_OP_FLASH_ATTN_EXT] = rule::flashAttention;
  table[GGML_OP_ROPE] = rule::rope;
  table[GGML_OP_UPSCALE] = rule::upscale;
  table[GGML_OP_POOL_2D] = rule::pool2d;
  return table;
}

}  // namespace

Value applyRule(Translator& translator, const ggml_tensor* node) {
  static const Table table = makeTable();
  const Rule rule = table[node->op];
  if (rule == nullptr) uncovered(node, "no rule for this operation");
  if (node->type != GGML_TYPE_I32 && !elementType(node->type)) uncovered(node, "no rule for this type");
  return rule(translator, node);
}

bool isLazy(const ggml_tensor* node) { return node->op == GGML_OP_IM2COL || node->op == GGML_OP_IM2COL_3D; }

void uncovered(const ggml_tensor* node, const char* why) { throw Uncovered(node, why); }

}  // namespace nd::openvino
