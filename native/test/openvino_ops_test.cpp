// Every operation and pattern of the OpenVINO backend against ggml's CPU backend, on random shapes. The
// largest difference must be at most 1e-4 of the largest value; where ggml's own kernel is coarser than that
// (tables and activations in f16), the reference is written out of finer operations.
#include "check.h"
#include "openvino_net.h"

namespace nd::test {
namespace {

using Build = std::function<ggml_tensor*(Net&)>;

struct Case {
  std::string name;
  Build build;
  bool covered = true;  // OpenVINO computes all of it
};

constexpr double kTolerance = 1e-4;
constexpr ggml_type kWeightTypes[] = {GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                                      GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1,
                                      GGML_TYPE_Q2_K, GGML_TYPE_Q3_K, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K,
                                      GGML_TYPE_Q6_K};

Dims anyDims(Net& net) { return {net.size(1, 9), net.size(1, 7), net.size(1, 5), net.size(1, 3)}; }

ggml_tensor* poly(Net& net, ggml_tensor* x, float cubic, float factor) {  // factor * (x + cubic x^3)
  ggml_tensor* cube = ggml_mul(net.ctx(), x, ggml_sqr(net.ctx(), x));
  return ggml_scale(net.ctx(), ggml_add(net.ctx(), x, ggml_scale(net.ctx(), cube, cubic)), factor);
}
// ggml computes GELU by a table in f16; these are the same functions in f32.
ggml_tensor* gelu(Net& net, ggml_tensor* x) {
  if (!net.reference) return ggml_gelu(net.ctx(), x);
  ggml_tensor* inner = ggml_tanh(net.ctx(), poly(net, x, 0.044715F, std::sqrt(2.0F / 3.14159265F)));
  return ggml_mul(net.ctx(), ggml_scale(net.ctx(), x, 0.5F), ggml_scale_bias(net.ctx(), inner, 1.0F, 1.0F));
}
ggml_tensor* geluQuick(Net& net, ggml_tensor* x) {
  if (!net.reference) return ggml_gelu_quick(net.ctx(), x);
  return ggml_mul(net.ctx(), x, ggml_sigmoid(net.ctx(), ggml_scale(net.ctx(), x, 1.702F)));
}

void unaries(std::vector<Case>& cases) {
  const std::vector<std::pair<std::string, std::function<ggml_tensor*(ggml_context*, ggml_tensor*)>>>
      functions = {{"abs", ggml_abs},
                   {"sgn", ggml_sgn},
                   {"neg", ggml_neg},
                   {"tanh", ggml_tanh},
                   {"relu", ggml_relu},
                   {"sigmoid", ggml_sigmoid},
                   {"silu", ggml_silu},
                   {"elu", ggml_elu},
                   {"hardswish", ggml_hardswish},
                   {"exp", ggml_exp},
                   {"gelu_erf", ggml_gelu_erf},
                   {"sqr", ggml_sqr},
                   {"sin", ggml_sin},
                   {"cos", ggml_cos},
                   {"softplus", ggml_softplus},
                   {"floor", ggml_floor},
                   {"ceil", ggml_ceil},
                   {"mean", ggml_mean},
                   {"sum_rows", ggml_sum_rows},
                   {"sum", ggml_sum}};
  for (const auto& [name, function] : functions)
    cases.push_back({name, [function](Net& net) { return function(net.ctx(), net.input(anyDims(net))); }});
  cases.push_back({"gelu", [](Net& net) { return gelu(net, net.input(anyDims(net))); }});
  cases.push_back({"gelu_quick", [](Net& net) { return geluQuick(net, net.input(anyDims(net))); }});
  cases.push_back({"sqrt", [](Net& net) { return ggml_sqrt(net.ctx(), net.positive(anyDims(net))); }});
  cases.push_back({"log", [](Net& net) { return ggml_log(net.ctx(), net.positive(anyDims(net))); }});
  cases.push_back({"scale_bias", [](Net& net) {
                     return ggml_scale_bias(net.ctx(), net.input(anyDims(net)), -0.7F, 0.3F);
                   }});
  cases.push_back(
      {"clamp", [](Net& net) { return ggml_clamp(net.ctx(), net.input(anyDims(net)), -0.5F, 0.4F); }});
  cases.push_back({"leaky_relu", [](Net& net) {
                     return ggml_leaky_relu(net.ctx(), net.input(anyDims(net)), 0.2F, false);
                   }});
  cases.push_back({"inplace chain", [](Net& net) {
                     ggml_tensor* x = ggml_scale(net.ctx(), net.input(anyDims(net)), 2.0F);
                     return ggml_silu_inplace(net.ctx(), ggml_scale_inplace(net.ctx(), x, 0.5F));
                   }});
}

void binaries(std::vector<Case>& cases) {
  using Function = ggml_tensor* (*)(ggml_context*, ggml_tensor*, ggml_tensor*);
  const std::vector<std::pair<std::string, Function>> functions = {
      {"add", ggml_add}, {"sub", ggml_sub}, {"mul", ggml_mul}, {"div", ggml_div}};
  for (const auto& [name, function] : functions) {
    cases.push_back({name + " broadcast", [function = function](Net& net) {
                       const Dims ne = anyDims(net);
                       Dims other = ne;
                       for (int64_t& n : other)
                         if (net.size(0, 1) == 0) n = 1;
                       return function(net.ctx(), net.input(ne), net.positive(other));
                     }});
    cases.push_back({name + " tiled", [function = function](Net& net) {
                       const Dims part = anyDims(net);
                       Dims whole = part;
                       for (int64_t& n : whole) n *= net.size(1, 3);
                       return function(net.ctx(), net.input(whole), net.positive(part));
                     }});
    cases.push_back(
        {name + " of a permuted view", [function = function](Net& net) {
           const Dims ne = anyDims(net);
           ggml_tensor* x = ggml_permute(net.ctx(), net.input(ne), 1, 0, 2, 3);
           return function(net.ctx(), ggml_cont(net.ctx(), x), net.positive({ne[1], 1, ne[2], 1}));
         }});
  }
  const std::vector<std::pair<std::string, Function>> gates = {
      {"swiglu", ggml_swiglu_split}, {"reglu", ggml_reglu_split}, {"geglu_erf", ggml_geglu_erf_split}};
  for (const auto& [name, function] : gates)
    cases.push_back({name, [function = function](Net& net) {
                       const Dims ne = anyDims(net);
                       return function(net.ctx(), net.input(ne), net.input(ne));
                     }});
  cases.push_back({"swiglu of one", [](Net& net) {
                     return ggml_swiglu(net.ctx(), net.input({2 * net.size(1, 9), 5, 3}));
                   }});
  cases.push_back({"swiglu swapped", [](Net& net) {
                     return ggml_swiglu_swapped(net.ctx(), net.input({2 * net.size(1, 9), 5, 3}));
                   }});
}

void layouts(std::vector<Case>& cases) {
  cases.push_back({"permute", [](Net& net) {
                     int axes[4] = {0, 1, 2, 3};
                     std::shuffle(axes, axes + 4, net.random);
                     ggml_tensor* x =
                         ggml_permute(net.ctx(), net.input(anyDims(net)), axes[0], axes[1], axes[2], axes[3]);
                     return ggml_cont(net.ctx(), x);
                   }});
  cases.push_back({"permute of a permute", [](Net& net) {
                     ggml_tensor* x = ggml_permute(net.ctx(), net.input(anyDims(net)), 2, 0, 3, 1);
                     return ggml_cont(net.ctx(), ggml_permute(net.ctx(), x, 1, 3, 0, 2));
                   }});
  cases.push_back({"transpose", [](Net& net) {
                     return ggml_cont(net.ctx(), ggml_transpose(net.ctx(), net.input(anyDims(net))));
                   }});
  cases.push_back({"reshape", [](Net& net) {
                     const int64_t a = net.size(1, 6), b = net.size(1, 6), c = net.size(1, 6);
                     ggml_tensor* x = ggml_sqr(net.ctx(), net.input({a * b, c, 2}));
                     return ggml_neg(net.ctx(), ggml_reshape_4d(net.ctx(), x, a, b * 2, 1, c));
                   }});
  for (int axis = 0; axis < 4; ++axis) {
    cases.push_back({"concat " + std::to_string(axis), [axis](Net& net) {
                       const Dims ne = anyDims(net);
                       Dims other = ne;
                       other[static_cast<size_t>(axis)] = net.size(1, 6);
                       return ggml_concat(net.ctx(), net.input(ne), net.input(other), axis);
                     }});
    cases.push_back({"chunk " + std::to_string(axis), [axis](Net& net) {
                       Dims ne = anyDims(net);
                       ne[static_cast<size_t>(axis)] *= 3;
                       ggml_tensor* x = ggml_neg(net.ctx(), net.input(ne));
                       const size_t third = x->nb[axis] * static_cast<size_t>(x->ne[axis] / 3);
                       Dims part = ne;
                       part[static_cast<size_t>(axis)] /= 3;
                       ggml_tensor* view =
                           ggml_view_4d(net.ctx(), x, part[0], part[1], part[2], part[3], x->nb[1], x->nb[2],
                                        x->nb[3], third * static_cast<size_t>(net.size(0, 2)));
                       return ggml_silu(net.ctx(), ggml_cont(net.ctx(), view));
                     }});
  }
  cases.push_back(
      {"view of a permute", [](Net& net) {
         const int64_t a = net.size(2, 6), b = net.size(2, 6), c = net.size(2, 6);
         ggml_tensor* x = ggml_permute(net.ctx(), ggml_sqr(net.ctx(), net.input({a, b, c})), 0, 2, 1, 3);
         ggml_tensor* view = ggml_view_4d(net.ctx(), x, x->ne[0], x->ne[1], x->ne[2] - 1, 1, x->nb[1],
                                          x->nb[2], x->nb[3], x->nb[2]);
         return ggml_cont(net.ctx(), view);
       }});
  cases.push_back({"overlapping view", [](Net& net) {
                     ggml_tensor* x = ggml_sqr(net.ctx(), net.input({48}));
                     return ggml_cont(net.ctx(),
                                      ggml_view_2d(net.ctx(), x, 5, 7, 2 * sizeof(float), 3 * sizeof(float)));
                   }});
  cases.push_back({"split of queries, keys and values", [](Net& net) {
                     const int64_t c = net.size(1, 5), l = net.size(1, 7), n = net.size(1, 3);
                     ggml_tensor* x = ggml_sqr(net.ctx(), net.input({3 * c, l, n}));
                     x = ggml_reshape_4d(net.ctx(), x, c, 3, l, n);
                     x = ggml_cont(net.ctx(), ggml_permute(net.ctx(), x, 0, 3, 1, 2));
                     const size_t part = x->nb[2] * static_cast<size_t>(x->ne[2]);
                     ggml_tensor* q = ggml_view_3d(net.ctx(), x, c, l, n, x->nb[1], x->nb[2], 0);
                     ggml_tensor* v = ggml_view_3d(net.ctx(), x, c, l, n, x->nb[1], x->nb[2], 2 * part);
                     return ggml_sub(net.ctx(), ggml_cont(net.ctx(), q), ggml_cont(net.ctx(), v));
                   }});
  cases.push_back({"repeat", [](Net& net) {
                     const Dims ne = anyDims(net);
                     return ggml_repeat_4d(net.ctx(), net.input(ne), ne[0] * 2, ne[1], ne[2] * 3, ne[3] * 2);
                   }});
  cases.push_back({"pad", [](Net& net) {
                     return ggml_pad_ext(net.ctx(), net.input(anyDims(net)), 1, 2, 0, 3, 2, 0, 0, 1);
                   }});
  cases.push_back({"circular pad", [](Net& net) {
                     return ggml_pad_ext_circular(net.ctx(),
                                                  net.input({net.size(3, 7), net.size(3, 7), 2, 2}), 1, 2, 3,
                                                  0, 0, 0, 0, 0);
                   }});
  cases.push_back({"get_rows", [](Net& net) {
                     ggml_tensor* table = net.weight(GGML_TYPE_F16, {net.size(1, 9), 30});
                     return ggml_get_rows(net.ctx(), table, net.integers({net.size(1, 12)}, 30));
                   }});
  cases.push_back({"get_rows of batches", [](Net& net) {
                     return ggml_get_rows(net.ctx(), net.input({4, 6, 3}), net.integers({5, 3}, 6));
                   }});
  cases.push_back({"cast and back", [](Net& net) {
                     ggml_tensor* x = ggml_cast(net.ctx(), net.input(anyDims(net)),
                                                net.reference ? GGML_TYPE_F32 : GGML_TYPE_F16);
                     return ggml_cast(net.ctx(), x, GGML_TYPE_F32);
                   }});
  cases.push_back({"arange", [](Net& net) {
                     return ggml_scale(net.ctx(), ggml_arange(net.ctx(), 0.5F, 9.0F, 0.75F), 2.0F);
                   }});
  cases.push_back({"timestep_embedding", [](Net& net) {
                     ggml_tensor* t = ggml_scale(net.ctx(), net.positive({net.size(1, 4)}), 100.0F);
                     return ggml_timestep_embedding(net.ctx(), t, static_cast<int>(2 * net.size(2, 40)),
                                                    10000);
                   }});
  cases.push_back({"fill from the engine's one", [](Net& net) {
                     return ggml_repeat_4d(net.ctx(), ggml_scale(net.ctx(), net.constant(1.0F), -3.0F), 3, 4,
                                           2, 1);
                   }});
}

void norms(std::vector<Case>& cases) {
  const auto rows = [](Net& net) {
    return net.input({net.size(2, 70), net.size(1, 7), net.size(1, 4), net.size(1, 2)}, 3.0F);
  };
  cases.push_back({"norm", [rows](Net& net) { return ggml_norm(net.ctx(), rows(net), 1e-5F); }});
  cases.push_back({"rms_norm", [rows](Net& net) { return ggml_rms_norm(net.ctx(), rows(net), 1e-6F); }});
  cases.push_back({"l2_norm", [rows](Net& net) { return ggml_l2_norm(net.ctx(), rows(net), 1e-6F); }});
  cases.push_back({"norm with weights", [](Net& net) {
                     const int64_t n = net.size(2, 70);
                     ggml_tensor* x = ggml_norm(net.ctx(), net.input({n, 5, 2}), 1e-5F);
                     x = ggml_mul_inplace(net.ctx(), x, net.weight(GGML_TYPE_F32, {n}));
                     return ggml_add_inplace(net.ctx(), x, net.weight(GGML_TYPE_F32, {n}));
                   }});
  cases.push_back(
      {"group_norm", [](Net& net) {
         const int groups = static_cast<int>(net.size(1, 4));
         return ggml_group_norm(
             net.ctx(),
             net.input({net.size(1, 9), net.size(1, 9), groups * net.size(1, 4), net.size(1, 2)}, 2.0F),
             groups, 1e-6F);
       }});
  cases.push_back(
      {"group_norm with weights", [](Net& net) {
         const int64_t channels = 32 * net.size(1, 3);
         ggml_tensor* x = net.input({net.size(1, 9), net.size(1, 9), channels, net.size(1, 2)}, 2.0F);
         ggml_tensor* w =
             ggml_reshape_4d(net.ctx(), net.weight(GGML_TYPE_F32, {channels}), 1, 1, channels, 1);
         ggml_tensor* b =
             ggml_reshape_4d(net.ctx(), net.weight(GGML_TYPE_F32, {channels}), 1, 1, channels, 1);
         x = ggml_mul_inplace(net.ctx(), ggml_group_norm(net.ctx(), x, 32, 1e-6F), w);
         return ggml_silu_inplace(net.ctx(), ggml_add_inplace(net.ctx(), x, b));
       }});
  cases.push_back({"unequal groups",
                   [](Net& net) {
                     return ggml_group_norm(net.ctx(), net.input({5, 4, 7, 1}), 3, 1e-6F);
                   },
                   false});
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
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16}) {
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
  cases.push_back(
      {"bilinear upscale", [](Net& net) {
         return ggml_interpolate(net.ctx(), net.input({5, 6, 3, 1}), 13, 9, 3, 1, GGML_SCALE_MODE_BILINEAR);
       }});
  cases.push_back(
      {"pool", [](Net& net) {
         return ggml_pool_2d(net.ctx(), net.input({8, 10, 3, 2}), GGML_OP_POOL_MAX, 2, 2, 2, 2, 0, 0);
       }});
}

// The engine's attention, with and without flash attention; see ggml_ext_attention_ext.
// Sizes come equal often, since kernels have been found that take one for another then.
ggml_tensor* attention(Net& net, bool flash, bool masked, int64_t sharing) {
  const int64_t heads = 2 * sharing;
  const auto length = [&] { return net.size(0, 2) == 0 ? heads : net.size(2, 20); };
  const int64_t d = net.size(0, 3) == 0 ? heads : 8 * net.size(1, 5), queries = length(), keys = length();
  ggml_context* ctx = net.ctx();
  ggml_tensor* q = ggml_silu(ctx, net.input({d, queries, heads}));
  ggml_tensor* k = ggml_silu(ctx, net.input({d, keys, heads / sharing}));
  ggml_tensor* v = ggml_silu(ctx, net.input({d, keys, heads / sharing}));
  ggml_tensor* mask = masked ? net.input({keys, queries}) : nullptr;
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

void attentions(std::vector<Case>& cases) {
  for (const bool flash : {false, true})
    for (const bool masked : {false, true})
      for (const int64_t sharing : {1, 3})
        cases.push_back({std::string(flash ? "flash " : "") + "attention" + (masked ? " masked" : "") +
                             (sharing > 1 ? " shared keys" : ""),
                         [=](Net& net) { return attention(net, flash, masked, sharing); }});
  cases.push_back({"soft_max with scale and mask", [](Net& net) {
                     const int64_t k = net.size(1, 20), n = net.size(1, 9);
                     return ggml_soft_max_ext(net.ctx(), net.input({k, n, 4, 2}), net.input({k, n + 2, 2, 1}),
                                              0.3F, 0.0F);
                   }});
  cases.push_back({"causal mask", [](Net& net) {
                     const int64_t n = net.size(2, 9);
                     return ggml_soft_max(net.ctx(), ggml_diag_mask_inf(net.ctx(), net.input({n, n, 2}), 0));
                   }});
  for (const int mode : {GGML_ROPE_TYPE_NORMAL, GGML_ROPE_TYPE_NEOX}) {
    cases.push_back({"rope " + std::to_string(mode), [mode](Net& net) {
                       const int64_t tokens = net.size(1, 9);
                       ggml_tensor* x = net.input({16, 3, tokens, 2});
                       return ggml_rope_ext(net.ctx(), x, net.integers({tokens}, 90), nullptr,
                                            mode == GGML_ROPE_TYPE_NEOX ? 16 : 12, mode, 0, 10000.0F, 1.0F,
                                            0.0F, 1.0F, 32.0F, 1.0F);
                     }});
  }
  cases.push_back({"rope of sections", [](Net& net) {
                     const int64_t tokens = net.size(1, 9);
                     int sections[4] = {4, 6, 6, 0};
                     return ggml_rope_multi(
                         net.ctx(), net.input({32, 3, tokens, 1}), net.integers({4 * tokens}, 90), nullptr,
                         32, sections, GGML_ROPE_TYPE_MROPE, 0, 1000000.0F, 1.0F, 0.0F, 1.0F, 32.0F, 1.0F);
                   }});
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

bool sane(double error) { return error <= kTolerance; }

void run(const Backends& backends, const Case& given, uint64_t seed) {
  Net wanted(backends.cpu.get(), true, seed);
  Net got(backends.openvino.get(), false, seed);
  wanted.build({given.build(wanted)});
  got.build({given.build(got)});
  const double before = backends.figure("uncoveredNodes");
  const bool computed = wanted.compute() == GGML_STATUS_SUCCESS && got.compute() == GGML_STATUS_SUCCESS;
  const double error = computed ? relativeError(got.read(), wanted.read()) : INFINITY;
  const bool covered = backends.figure("uncoveredNodes") == before;
  if (!sane(error) || covered != given.covered)
    std::fprintf(stderr, "%s, seed %llu: relative error %g, %s\n", given.name.c_str(),
                 static_cast<unsigned long long>(seed), error, covered ? "covered" : "not covered");
  CHECK(sane(error));
  CHECK(covered == given.covered);
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  const Backends backends(count > 1 ? arguments[1] : ".");
  if (!backends.cpu || !backends.openvino) return 1;
  std::vector<Case> cases;
  for (const auto add : {unaries, binaries, layouts, norms, products, attentions, uncovered}) add(cases);
  const std::string only = count > 2 ? arguments[2] : "";
  const uint64_t seed = testSeed();
  constexpr int rounds = 4;
  for (const Case& each : cases)
    for (int round = 0; round < rounds; ++round)
      if (only.empty() || each.name == only) run(backends, each, seed + static_cast<uint64_t>(round));
  std::printf("%zu cases, %d rounds\n", cases.size(), rounds);
  return report();
}
