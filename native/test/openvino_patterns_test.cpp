// Products, convolutions, attention, and what has no rule; see openvino_cases.h.
#include "openvino_cases.h"

namespace nd::test {
namespace {

void resamplings(std::vector<Case>& cases) {
  for (const bool corners : {false, true}) {
    for (const bool shrinks : {false, true}) {
      cases.push_back({std::string("bilinear ") + (shrinks ? "shrinking" : "growing") +
                           (corners ? " from corner to corner" : ""),
                       [corners, shrinks](Net& net) {
                         const int64_t w = net.size(3, 7), h = net.size(3, 7);
                         const int64_t toW = shrinks ? net.size(1, w - 1) : net.size(w, 3 * w),
                                       toH = shrinks ? net.size(1, h - 1) : net.size(h, 3 * h);
                         const uint32_t mode =
                             static_cast<uint32_t>(GGML_SCALE_MODE_BILINEAR) |
                             (corners ? static_cast<uint32_t>(GGML_SCALE_FLAG_ALIGN_CORNERS) : 0U);
                         return ggml_interpolate(net.ctx(), net.input({w, h, 3, 2}), toW, toH, 3, 2, mode);
                       }});
    }
  }
  for (const ggml_op_pool kind : {GGML_OP_POOL_MAX, GGML_OP_POOL_AVG}) {
    cases.push_back({kind == GGML_OP_POOL_MAX ? "pool of the largest" : "pool of the mean", [kind](Net& net) {
                       const int kw = static_cast<int>(net.size(2, 3)), kh = static_cast<int>(net.size(2, 3)),
                                 s = static_cast<int>(net.size(1, 3)), p = static_cast<int>(net.size(0, 1));
                       ggml_tensor* x = net.input({net.size(6, 11), net.size(6, 11), 3, 2});
                       return ggml_pool_2d(net.ctx(), x, kind, kw, kh, s, s, static_cast<float>(p),
                                           static_cast<float>(p));
                     }});
  }
}

void products(std::vector<Case>& cases) {
  for (const ggml_type type : kWeightTypes) {
    cases.push_back({std::string("linear ") + ggml_type_name(type), [type](Net& net) {
                       const int64_t k = 256 * net.size(1, 2), m = net.size(1, 40);
                       ggml_tensor* x = net.input({k, net.size(1, 30), net.size(1, 3)});
                       ggml_tensor* y = ggml_mul_mat(net.ctx(), net.weight(type, {k, m}, 0.1F), x);
                       return ggml_add_inplace(net.ctx(), y, net.weight(GGML_TYPE_F32, {m}));
                     }});
  }
  cases.push_back({"matmul of values", [](Net& net) {
                     const int64_t k = net.size(1, 40), b = net.size(1, 5), c = net.size(1, 3);
                     return ggml_mul_mat(net.ctx(), net.input({k, net.size(1, 20), b, c}),
                                         net.input({k, net.size(1, 20), b, c}));
                   }});
  cases.push_back({"matmul with broadcast batches", [](Net& net) {
                     const int64_t k = net.size(1, 40), b = net.size(1, 4), r = net.size(1, 3);
                     return ggml_mul_mat(net.ctx(), net.input({k, net.size(1, 20), b}),
                                         net.input({k, net.size(1, 20), b * r}));
                   }});
  cases.push_back({"matmul of permuted views", [](Net& net) {
                     ggml_tensor* a = ggml_permute(net.ctx(), net.input({8, 3, 11}), 0, 2, 1, 3);
                     ggml_tensor* b = ggml_permute(net.ctx(), net.input({8, 3, 7}), 0, 2, 1, 3);
                     return ggml_mul_mat(net.ctx(), a, b);
                   }});
  // Blocks of packed types lie along the width of a kernel, so none has them.
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
    for (const bool direct : {false, true}) {
      cases.push_back(
          {std::string("convolution ") + ggml_type_name(type) + (direct ? " direct" : ""),
           [type, direct](Net& net) {
             const int64_t in = net.size(1, 6), out = net.size(1, 7), k = net.size(1, 3), n = net.size(1, 2);
             ggml_tensor* x = ggml_silu(net.ctx(), net.input({net.size(5, 12), net.size(5, 12), in, n}));
             ggml_tensor* w = net.weight(type, {k, k, in, out}, 0.3F);
             const int s = static_cast<int>(net.size(1, 2)), p = static_cast<int>(net.size(0, 1)),
                       d = static_cast<int>(net.size(1, 2));
             const auto make = direct ? ggml_conv_2d_direct : ggml_conv_2d;
             ggml_tensor* y = make(net.ctx(), w, x, s, s, p, p, d, d);
             ggml_tensor* b = ggml_reshape_4d(net.ctx(), net.weight(GGML_TYPE_F32, {out}), 1, 1, out, 1);
             return ggml_add_inplace(net.ctx(), y, b);
           }});
    }
  }
  cases.push_back(
      {"convolution of unequal sides", [](Net& net) {
         ggml_tensor* x = net.input({11, 6, 3, 1});
         return ggml_conv_2d(net.ctx(), net.weight(GGML_TYPE_F32, {3, 1, 3, 5}), x, 2, 1, 1, 0, 1, 1);
       }});
  cases.push_back({"convolution in three dimensions", [](Net& net) {
                     const int64_t in = net.size(1, 3), out = net.size(1, 4);
                     ggml_tensor* x = net.input({7, 6, 5, in});
                     return ggml_conv_3d(net.ctx(), net.weight(GGML_TYPE_F32, {3, 3, 3, in * out}), x, in, 1,
                                         1, 1, 1, 1, 0, 1, 1, 1);
                   }});
  cases.push_back({"depthwise convolution", [](Net& net) {
                     const int64_t c = net.size(1, 6);
                     return ggml_conv_2d_dw_direct(net.ctx(), net.weight(GGML_TYPE_F32, {3, 3, 1, c}),
                                                   net.input({8, 7, c, 2}), 1, 1, 1, 1, 1, 1);
                   }});
  cases.push_back({"upscale", [](Net& net) {
                     return ggml_upscale(net.ctx(), net.input({net.size(2, 6), net.size(2, 6), 3, 2}),
                                         static_cast<int>(net.size(2, 3)), GGML_SCALE_MODE_NEAREST);
                   }});
  resamplings(cases);
}

// The engine's attention, with and without flash attention; see ggml_ext_attention_ext.
// Sizes come equal often, since kernels have been found that take one for another then.
ggml_tensor* attention(Net& net, bool flash, bool masked, int64_t sharing, int64_t batch) {
  const int64_t heads = 2 * sharing;
  const auto length = [&] { return net.size(0, 2) == 0 ? heads : net.size(2, 20); };
  const int64_t d = net.size(0, 3) == 0 ? heads : 8 * net.size(1, 5), queries = length(), keys = length();
  ggml_context* ctx = net.ctx();
  ggml_tensor* q = ggml_silu(ctx, net.input({d, queries, heads, batch}));
  ggml_tensor* k = ggml_silu(ctx, net.input({d, keys, heads / sharing, batch}));
  ggml_tensor* v = ggml_silu(ctx, net.input({d, keys, heads / sharing, batch}));
  ggml_tensor* mask = masked ? net.input({keys, queries, 1, net.size(0, 1) == 0 ? 1 : batch}) : nullptr;
  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  if (flash && !net.reference) {
    ggml_tensor* hidden = nullptr;
    if (mask != nullptr) {
      hidden = ggml_cast(ctx, mask, GGML_TYPE_F32);
    } else {
      const int fill = static_cast<int>(GGML_PAD(keys, 256) - keys);
      k = ggml_pad(ctx, k, 0, fill, 0, 0);
      v = ggml_pad(ctx, v, 0, fill, 0, 0);
      ggml_tensor* one = net.constant(1.0F);
      hidden = ggml_concat(ctx, ggml_repeat_4d(ctx, ggml_scale(ctx, one, 0.0F), keys, queries, 1, 1),
                           ggml_repeat_4d(ctx, ggml_scale(ctx, one, -INFINITY), fill, queries, 1, 1), 0);
    }
    ggml_tensor* out =
        ggml_flash_attn_ext(ctx, q, ggml_cast(ctx, k, GGML_TYPE_F16), ggml_cast(ctx, v, GGML_TYPE_F16),
                            ggml_cast(ctx, hidden, GGML_TYPE_F16), scale, 0, 0);
    return ggml_cont(ctx, out);
  }
  v = ggml_cont(ctx, ggml_permute(ctx, v, 1, 0, 2, 3));
  ggml_tensor* kq = ggml_scale_inplace(ctx, ggml_mul_mat(ctx, k, q), scale);
  if (mask != nullptr) kq = ggml_add_inplace(ctx, kq, mask);
  ggml_tensor* out = ggml_mul_mat(ctx, v, ggml_soft_max_inplace(ctx, kq));
  return ggml_cont(ctx, ggml_permute(ctx, out, 0, 2, 1, 3));
}

void ropes(std::vector<Case>& cases) {
  for (const int mode : {GGML_ROPE_TYPE_NORMAL, GGML_ROPE_TYPE_NEOX}) {
    for (const bool factors : {false, true}) {
      cases.push_back(
          {"rope " + std::to_string(mode) + (factors ? " with factors" : ""), [mode, factors](Net& net) {
             const int64_t tokens = net.size(1, 9), width = net.size(0, 1) == 0 ? 16 : 12;
             ggml_tensor* x = net.input({16, 3, tokens, 2});
             ggml_tensor* divided = factors ? net.positive({width / 2}) : nullptr;
             return ggml_rope_ext(net.ctx(), x, net.integers({tokens}, 90), divided, static_cast<int>(width),
                                  mode, 0, 10000.0F, 1.0F, 0.0F, 1.0F, 32.0F, 1.0F);
           }});
    }
  }
  // The sections of Qwen's language models, the second interleaved; tokens have four positions each.
  for (const int mode : {GGML_ROPE_TYPE_MROPE, GGML_ROPE_TYPE_IMROPE}) {
    for (const bool factors : {false, true}) {
      cases.push_back({"rope of sections " + std::to_string(mode) + (factors ? " with factors" : ""),
                       [mode, factors](Net& net) {
                         const int64_t tokens = net.size(1, 9);
                         int sections[4] = {4, 6, 6, 0};
                         int interleaved[4] = {6, 5, 5, 0};
                         ggml_tensor* x = net.input({32, 3, tokens, 1});
                         ggml_tensor* divided = factors ? net.positive({16}) : nullptr;
                         return ggml_rope_multi(net.ctx(), x, net.integers({4 * tokens}, 90), divided, 32,
                                                mode == GGML_ROPE_TYPE_MROPE ? sections : interleaved, mode,
                                                0, 1000000.0F, 1.0F, 0.0F, 1.0F, 32.0F, 1.0F);
                       }});
    }
  }
}

void attentions(std::vector<Case>& cases) {
  for (const bool flash : {false, true})
    for (const bool masked : {false, true})
      for (const int64_t sharing : {1, 3})
        for (const int64_t batch : {1, 2})
          cases.push_back({std::string(flash ? "flash " : "") + "attention" + (masked ? " masked" : "") +
                               (sharing > 1 ? " shared keys" : "") + (batch > 1 ? " of a batch" : ""),
                           [=](Net& net) { return attention(net, flash, masked, sharing, batch); }});
  cases.push_back({"soft_max with scale and mask", [](Net& net) {
                     const int64_t k = net.size(1, 20), n = net.size(1, 9);
                     return ggml_soft_max_ext(net.ctx(), net.input({k, n, 4, 2}), net.input({k, n + 2, 2, 1}),
                                              0.3F, 0.0F);
                   }});
  cases.push_back({"causal mask", [](Net& net) {
                     const int64_t n = net.size(2, 9);
                     return ggml_soft_max(net.ctx(), ggml_diag_mask_inf(net.ctx(), net.input({n, n, 2}), 0));
                   }});
  ropes(cases);
}

// What has no rule runs on the CPU backend in between; what would be wrong in a graph without memory is
// refused.
void uncovered(std::vector<Case>& cases) {
  cases.push_back({"an operation without a rule in between",
                   [](Net& net) {
                     ggml_tensor* x = ggml_silu(net.ctx(), net.input({6, 5, 3, 2}));
                     ggml_tensor* rolled = ggml_roll(net.ctx(), x, 2, 1, 0, 0);
                     return ggml_mul_inplace(net.ctx(), ggml_neg(net.ctx(), rolled), x);
                   },
                   false});
  cases.push_back({"one that reads a view",
                   [](Net& net) {
                     ggml_tensor* x = ggml_cont(
                         net.ctx(), ggml_transpose(net.ctx(), ggml_silu(net.ctx(), net.input({6, 5, 3, 2}))));
                     ggml_tensor* view = ggml_view_4d(net.ctx(), x, 3, 6, 3, 2, x->nb[1], x->nb[2], x->nb[3],
                                                      2 * sizeof(float));
                     ggml_tensor* rolled = ggml_roll(net.ctx(), ggml_cont(net.ctx(), view), 1, 0, 1, 0);
                     return ggml_add(net.ctx(), rolled, ggml_cont(net.ctx(), view));
                   },
                   false});
  cases.push_back({"antialiased interpolation",
                   [](Net& net) {
                     return ggml_silu(net.ctx(),
                                      ggml_interpolate(net.ctx(), net.input({9, 8, 3, 1}), 4, 5, 3, 1,
                                                       static_cast<uint32_t>(GGML_SCALE_MODE_BILINEAR) |
                                                           static_cast<uint32_t>(GGML_SCALE_FLAG_ANTIALIAS)));
                   },
                   false});
  // As the engine builds SDXS-09: rows that are wider in the product than the tensor says afterwards.
  cases.push_back({"a product that reads beyond its rows",
                   [](Net& net) {
                     ggml_tensor* x = ggml_silu(net.ctx(), net.input({40}));
                     ggml_tensor* rows = ggml_view_2d(net.ctx(), x, 4, 8, 4 * sizeof(float), 0);
                     rows->ne[0] = 8;
                     ggml_tensor* y = ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {8, 5}), rows);
                     rows->ne[0] = 4;
                     return ggml_neg(net.ctx(), y);
                   },
                   false});
  cases.push_back({"memory written over before it is read",
                   [](Net& net) {
                     ggml_tensor* x = ggml_silu(net.ctx(), net.input({6, 5, 3, 2}));
                     ggml_tensor* y = ggml_scale_inplace(net.ctx(), x, 3.0F);
                     return ggml_add(net.ctx(), y, x);
                   },
                   false});
  cases.push_back({"a result in another's memory", [](Net& net) {
                     ggml_tensor* to = ggml_scale(net.ctx(), net.input({12}), 1.0F);
                     ggml_tensor* part = ggml_view_1d(net.ctx(), to, 5, 3 * sizeof(float));
                     ggml_tensor* copied = ggml_cpy(net.ctx(), ggml_neg(net.ctx(), net.input({5})), part);
                     return ggml_add(net.ctx(), ggml_view_1d(net.ctx(), copied, 5, 0), net.input({5}));
                   }});
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  return runCases({products, attentions, uncovered}, count, arguments);
}
