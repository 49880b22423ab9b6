// Elementwise operations, layouts and norms of the OpenVINO backend; see openvino_cases.h.
#include "openvino_cases.h"

namespace nd::test {
namespace {

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
    cases.push_back(
        {name, [function = function](Net& net) { return function(net.ctx(), net.input(anyDims(net))); }});
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
  cases.push_back({"leaky_relu in place", [](Net& net) {
                     ggml_tensor* x = ggml_neg(net.ctx(), net.input(anyDims(net)));
                     return ggml_sqr(net.ctx(), ggml_leaky_relu(net.ctx(), x, 0.2F, true));
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
  cases.push_back(
      {"add1", [](Net& net) { return ggml_add1(net.ctx(), net.input(anyDims(net)), net.positive({1})); }});
}

void gates(std::vector<Case>& cases) {
  using Function = ggml_tensor* (*)(ggml_context*, ggml_tensor*, ggml_tensor*);
  const std::vector<std::pair<std::string, Function>> split = {
      {"swiglu", ggml_swiglu_split}, {"reglu", ggml_reglu_split}, {"geglu_erf", ggml_geglu_erf_split}};
  for (const auto& [name, function] : split)
    cases.push_back({name, [function = function](Net& net) {
                       const Dims ne = anyDims(net);
                       return function(net.ctx(), net.input(ne), net.input(ne));
                     }});
  // As the engine's: of two tensors, and of the halves of one.
  const std::vector<std::tuple<std::string, ggml_glu_op, ggml_tensor* (*)(Net&, ggml_tensor*)>> rounded = {
      {"geglu", GGML_GLU_OP_GEGLU, gelu}, {"geglu_quick", GGML_GLU_OP_GEGLU_QUICK, geluQuick}};
  for (const auto& [name, op, activation] : rounded) {
    cases.push_back({name, [op = op, activation = activation](Net& net) {
                       const Dims ne = anyDims(net);
                       ggml_tensor* x = net.input(ne);
                       ggml_tensor* gate = net.input(ne);
                       if (net.reference) return ggml_mul(net.ctx(), activation(net, x), gate);
                       return ggml_glu_split(net.ctx(), x, gate, op);
                     }});
    for (const bool swapped : {false, true})
      cases.push_back(
          {name + (swapped ? " swapped" : " of one"), [=, op = op, activation = activation](Net& net) {
             const int64_t half = net.size(1, 9), rows = net.size(1, 7);
             ggml_tensor* x = net.input({2 * half, rows, 3});
             if (!net.reference) return ggml_glu(net.ctx(), x, op, swapped);
             const auto part = [&](int64_t first) {
               return ggml_cont(net.ctx(), ggml_view_3d(net.ctx(), x, half, rows, 3, x->nb[1], x->nb[2],
                                                        static_cast<size_t>(first) * x->nb[0]));
             };
             ggml_tensor* value = activation(net, part(swapped ? half : 0));
             return ggml_mul(net.ctx(), value, part(swapped ? 0 : half));
           }});
  }
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
  for (const ggml_type type : kWeightTypes)
    cases.push_back({std::string("get_rows ") + ggml_type_name(type), [type](Net& net) {
                       const int64_t block = ggml_blck_size(type),
                                     width = block * net.size(1, block > 1 ? 2 : 9);
                       ggml_tensor* table = net.weight(type, {width, 30});
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
                     return ggml_timestep_embedding(net.ctx(), t, static_cast<int>(net.size(3, 80)), 10000);
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

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  return runCases({unaries, binaries, gates, layouts, norms}, count, arguments);
}
