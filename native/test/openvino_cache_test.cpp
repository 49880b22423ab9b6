// The compile cache of the OpenVINO backend: what is compiled again and what is not, and never a stale
// result.
#include "check.h"
#include "openvino_layer.h"

namespace nd::test {
namespace {

void sizesAndWeights(const Backends& backends) {
  Counter counter(backends);
  Layer small(backends.openvino.get(), false, 8);
  Layer large(backends.openvino.get(), false, 24);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 1);
  const std::vector<float> first = small.net.read();
  CHECK(large.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 2);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 2);  // a size seen before
  CHECK(small.net.read() == first);

  // A weight that changes in place, as a LoRA changes it, and comes back.
  const std::vector<uint8_t> original = small.net.bytesOf(small.weight);
  std::vector<uint8_t> changed = original;
  for (size_t i = 1; i < changed.size(); i += 2) changed[i] ^= 0x80;  // the sign of every number
  small.net.set(small.weight, changed);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 3);
  CHECK(relativeError(small.net.read(), first) > 0.1);
  small.net.set(small.weight, original);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 3);  // the same content as before
  CHECK(small.net.read() == first);
  small.net.set(small.weight, changed);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(relativeError(small.net.read(), first) > 0.1);

  // One element of one weight. Weights that changed once are inputs: no further change compiles anything.
  const std::vector<float> second = small.net.read();
  std::vector<uint8_t> nudged = original;
  nudged[101] ^= 0x40;
  small.net.set(small.weight, nudged);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 3);
  CHECK(relativeError(small.net.read(), first) > 1e-3);
  CHECK(relativeError(small.net.read(), second) > 1e-3);
  CHECK(large.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 3);  // another model's weights are its own
}

// A network whose weights change in every way that LoRAs change them: of products of f16, f32 and q8_0
// weights, of convolutions of single pixels in both of ggml's forms, and of another convolution, beside
// ggml's CPU backend.
struct Mixed {
  Net net;
  std::vector<ggml_tensor*> factors;
  ggml_tensor* kernel;
  Mixed(ggml_backend_t backend, bool reference, int64_t rows = 10) : net(backend, reference, 21) {
    ggml_tensor* x = net.input({64, rows});
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_Q8_0}) {
      factors.push_back(net.weight(type, {64, 64}, 0.2F));
      x = ggml_silu(net.ctx(), ggml_mul_mat(net.ctx(), factors.back(), x));
    }
    kernel = net.weight(GGML_TYPE_F16, {3, 3, 1, 2});
    ggml_tensor* image = ggml_reshape_4d(net.ctx(), x, 64, rows, 1, 1);
    image = ggml_conv_2d_direct(net.ctx(), kernel, image, 1, 1, 1, 1, 1, 1);
    factors.push_back(net.weight(GGML_TYPE_F16, {1, 1, 2, 5}));
    image = ggml_silu(net.ctx(), ggml_conv_2d(net.ctx(), factors.back(), image, 1, 1, 0, 0, 1, 1));
    factors.push_back(net.weight(GGML_TYPE_F16, {1, 1, 5, 3}));
    net.build({ggml_conv_2d_direct(net.ctx(), factors.back(), image, 1, 1, 0, 0, 1, 1)});
  }
};

void changingFactors(const Backends& backends, bool fromTheStart) {
  Mixed ours(backends.openvino.get(), false);
  Mixed reference(backends.cpu.get(), true);
  Counter counter(backends);
  const auto agree = [&] {
    CHECK(ours.net.compute() == GGML_STATUS_SUCCESS);
    CHECK(reference.net.compute() == GGML_STATUS_SUCCESS);
    CHECK(relativeError(ours.net.read(), reference.net.read()) < 2e-3);
  };
  agree();
  CHECK(counter.compilations() == 1);
  // Another set of LoRAs: every weight of the list gets new values, the same in both.
  const auto change = [&](const std::vector<size_t>& which, uint64_t seed) {
    for (const size_t i : which) {
      std::mt19937_64 random(seed + i);
      std::normal_distribution<float> normal(0.0F, 0.2F);
      const ggml_tensor* factor = ours.factors[i];
      std::vector<float> values(static_cast<size_t>(ggml_nelements(factor)));
      for (float& value : values) value = normal(random);
      const ggml_type type = factor->type;
      std::vector<uint8_t> packed(ggml_nbytes(factor));
      ggml_quantize_chunk(type, values.data(), packed.data(), 0, ggml_nrows(factor), factor->ne[0], nullptr);
      if (type != GGML_TYPE_F32)
        ggml_get_type_traits(type)->to_float(packed.data(), values.data(),
                                             static_cast<int64_t>(values.size()));
      ours.net.set(ours.factors[i], packed);
      const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
      reference.net.set(reference.factors[i], {bytes, bytes + values.size() * sizeof(float)});
    }
  };
  change({0, 2}, 100);
  agree();
  CHECK(counter.compilations() == (fromTheStart ? 1 : 2));
  for (uint64_t set = 200; set < 1000; set += 100) {
    change(set % 200 == 0 ? std::vector<size_t>{0, 1, 2, 3, 4} : std::vector<size_t>{1, 4}, set);
    agree();
  }
  CHECK(counter.compilations() == (fromTheStart ? 1 : 2));
  // A convolution's weights are constants.
  std::vector<uint8_t> kernel = ours.net.bytesOf(ours.kernel);
  for (size_t i = 1; i < kernel.size(); i += 2) kernel[i] ^= 0x80;
  ours.net.set(ours.kernel, kernel);
  std::vector<uint8_t> same = reference.net.bytesOf(reference.kernel);
  for (size_t i = 3; i < same.size(); i += 4) same[i] ^= 0x80;
  reference.net.set(reference.kernel, same);
  agree();
  CHECK(counter.compilations() == (fromTheStart ? 2 : 3));
  // The unpacked copies go with the graphs that read them.
  const auto bytesOf = procedure<uint64_t (*)(ggml_backend_buffer_t)>("ggml_backend_openvino_buffer_bytes");
  const auto clear = procedure<void (*)()>("ggml_backend_openvino_clear");
  CHECK(bytesOf(ours.kernel->buffer) > size_t{2} * 64 * 64 * sizeof(float));
  clear();
  CHECK(bytesOf(ours.kernel->buffer) == 0);
  agree();
}

// Weights of 16 bits as inputs are what they are as f32, whatever their number.
void everyLength(const Backends& backends) {
  for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_BF16})
    for (const int64_t columns : {1, 3, 7, 8, 9, 31, 33}) {
      std::vector<float> results[2];
      for (const bool unpacked : {false, true}) {
        Net net(backends.openvino.get(), unpacked, 3);
        ggml_tensor* x = net.input({columns, 5});
        net.build({ggml_mul_mat(net.ctx(), net.weight(type, {columns, 3}), x)});
        CHECK(net.compute() == GGML_STATUS_SUCCESS);
        results[unpacked ? 1 : 0] = net.read();
      }
      CHECK(results[0] == results[1]);
    }
}

// Sets of LoRAs over several sizes of one model.
void sizesAndSets(const Backends& backends) {
  Layer layer(backends.openvino.get(), false, 8, 77);
  OtherSize one(backends, layer, 1);
  OtherSize two(backends, layer, 2);
  OtherSize three(backends, layer, 3);
  OtherSize four(backends, layer, 4);
  const std::vector<uint8_t> plain = layer.net.bytesOf(layer.weight);
  const auto use = [&](int set) {
    std::vector<uint8_t> bytes = plain;
    for (size_t i = 1; set > 0 && i < bytes.size(); i += 2 * static_cast<size_t>(set)) bytes[i] ^= 0x80;
    layer.net.set(layer.weight, bytes);
  };
  Counter counter(backends);
  const auto compiles = [&](OtherSize& size, int set) {
    use(set);
    const int before = counter.compilations();
    size.compute();
    return counter.compilations() - before;
  };
  use(0);
  CHECK(compiles(one, 0) == 1);
  CHECK(compiles(two, 1) == 1);  // no size has seen two sets yet: its weights are constants
  CHECK(compiles(two, 2) == 1);
  CHECK(compiles(two, 3) == 0);
  CHECK(compiles(three, 3) == 1);  // now sets change: they are inputs at once
  CHECK(compiles(three, 1) == 0);
  CHECK(compiles(four, 0) == 1);  // without a set they are constants
  CHECK(compiles(four, 1) == 1);
  CHECK(compiles(one, 0) == 0);
  use(1);
  const std::vector<float> a = three.compute();
  use(2);
  const std::vector<float> b = three.compute();
  CHECK(relativeError(a, b) > 0.1);
  use(1);
  CHECK(three.compute() == a);
}

// A value beside a weight, which OpenVINO may read where ggml has it.
struct Sum {
  Net net;
  ggml_tensor* weight;
  explicit Sum(ggml_backend_t backend) : net(backend, false, 31) {
    weight = net.weight(GGML_TYPE_F32, {64, 64});
    net.build({ggml_add(net.ctx(), net.input({64, 64}), weight)});
  }
};

// Two models of the same content share nothing: one may change while the other computes.
void sameContentElsewhere(const Backends& backends, const std::string& folder) {
  Counter counter(backends);
  Sum first(backends.openvino.get());
  CHECK(first.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 1);
  const std::vector<float> wanted = first.net.read();
  Sum second(backends.openvino.get());
  CHECK(second.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 2);
  CHECK(second.net.read() == wanted);
  std::vector<uint8_t> changed = first.net.bytesOf(first.weight);
  for (size_t i = 3; i < changed.size(); i += 4) changed[i] ^= 0x80;
  {
    const SafePoint merged(backends.openvino.get(), [&] { first.net.set(first.weight, changed); });
    CHECK(second.net.compute() == GGML_STATUS_SUCCESS);
  }
  CHECK(second.net.read() == wanted);
  first.net.set(first.weight, first.net.bytesOf(first.weight));
  // Nor does one wait while the other computes.
  const Backends others(folder);
  Sum third(others.openvino.get());
  CHECK(third.net.compute() == GGML_STATUS_SUCCESS);
  Held held(others.openvino.get(), third.net);
  CHECK(first.net.compute() == GGML_STATUS_SUCCESS);
  held.letGo();
  CHECK(third.net.read() == wanted);
  CHECK(first.net.read() == wanted);
}

// A graph that writes into weights is not compiled, and who compiles next sees what it wrote.
void writtenWeights(const Backends& backends) {
  for (const bool reference : {false, true}) {
    ggml_backend_t backend = reference ? backends.cpu.get() : backends.openvino.get();
    Net net(backend, reference, 6);
    ggml_tensor* weight = net.weight(GGML_TYPE_F32, {8, 8});
    ggml_tensor* added = ggml_add_inplace(net.ctx(), weight, net.input({8, 8}));
    net.build({added});
    const std::vector<float> before = Net::values(weight);
    CHECK(net.compute() == GGML_STATUS_SUCCESS);
    const std::vector<float> after = Net::values(weight);
    CHECK(relativeError(after, before) > 0.1);
    CHECK(net.read() == after);
  }
}

struct Estimate {
  uint64_t bytes = 0;
  uint64_t signature = 0;
};

// Of the graph that gives a tensor, which needs no memory.
Estimate estimateOf(ggml_context* ctx, ggml_tensor* result) {
  const auto estimate =
      procedure<uint64_t (*)(const ggml_cgraph*, uint64_t*)>("ggml_backend_openvino_compile_estimate");
  ggml_cgraph* graph = ggml_new_graph(ctx);
  ggml_build_forward_expand(graph, result);
  Estimate made;
  made.bytes = estimate(graph, &made.signature);
  return made;
}

// Graphs that are compiled apart have signatures of their own: estimates count each once.
void signatures(const Backends& backends) {
  Layer layer(backends.openvino.get(), false, 8);
  Layer twin(backends.openvino.get(), false, 8);
  // The engine makes its graphs anew for every evaluation.
  const auto signature = [&](Layer& of, int64_t rows, bool activated) {
    ggml_context* ctx = of.net.ctx();
    ggml_tensor* y = ggml_mul_mat(ctx, of.weight, ggml_new_tensor_2d(ctx, GGML_TYPE_F32, 64, rows));
    if (activated) y = ggml_silu(ctx, y);
    const Estimate made = estimateOf(ctx, y);
    CHECK(made.bytes > 0);
    return made.signature;
  };
  const uint64_t first = signature(layer, 8, false);
  CHECK(signature(layer, 8, false) == first);
  CHECK(signature(layer, 9, false) != first);
  CHECK(signature(layer, 8, true) != first);
  CHECK(signature(twin, 8, false) == first);  // weights are no part of it
}

// An estimate counts the values that OpenVINO keeps: neither the columns of a convolution, which are its
// input nine times, nor the scores of an attention, but those that are read otherwise.
void estimates(const Backends& backends) {
  Net net(backends.openvino.get(), false, 9);
  ggml_context* ctx = net.ctx();
  const auto bytesOf = [&](ggml_tensor* result) { return estimateOf(ctx, result).bytes; };
  const auto values = [&](int64_t a, int64_t b, int64_t c) {
    ggml_tensor* value = ggml_new_tensor_3d(ctx, GGML_TYPE_F32, a, b, c);
    return ggml_scale(ctx, value, 2.0F);  // a node, whose value is between two
  };
  const uint64_t each = 64 * 64 * 32 * sizeof(float);
  ggml_tensor* kernel = ggml_new_tensor_4d(ctx, GGML_TYPE_F16, 3, 3, 32, 32);
  const uint64_t kernels = 2 * 9 * 32 * 32 * sizeof(float);
  const uint64_t convolution = bytesOf(ggml_conv_2d(ctx, kernel, values(64, 64, 32), 1, 1, 1, 1, 1, 1));
  CHECK(convolution >= each);
  CHECK(convolution < 6 * each + kernels);

  const uint64_t scores = 1024 * 1024 * 4 * sizeof(float);
  const auto attention = [&](bool shifted) {
    ggml_tensor* weights = ggml_mul_mat(ctx, values(16, 1024, 4), values(16, 1024, 4));
    weights = ggml_scale(ctx, weights, 0.25F);
    if (shifted) weights = ggml_add(ctx, weights, ggml_new_tensor_2d(ctx, GGML_TYPE_F32, 1024, 1024));
    return ggml_soft_max(ctx, weights);
  };
  for (const bool shifted : {false, true})
    CHECK(bytesOf(ggml_mul_mat(ctx, values(1024, 16, 4), attention(shifted))) < scores);
  CHECK(bytesOf(attention(false)) >= scores);
}

// A compiled graph has the weights of its products once, in OpenVINO's own order, whatever type they had.
void narrowWeights(const Backends& backends) {
  constexpr int64_t side = 1024;
  constexpr int products = 16;
  const auto bytesOf = procedure<uint64_t (*)(ggml_backend_buffer_t)>("ggml_backend_openvino_buffer_bytes");
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16}) {
    Net net(backends.openvino.get(), false, 10);
    ggml_tensor* value = net.input({side, 64});
    ggml_tensor* weight = nullptr;
    for (int i = 0; i < products; ++i) {
      weight = net.weight(type, {side, side});
      value = ggml_mul_mat(net.ctx(), weight, value);
    }
    net.build({value});
    CHECK(net.compute() == GGML_STATUS_SUCCESS);
    const uint64_t once = products * side * side * sizeof(float);
    const uint64_t bytes = bytesOf(weight->buffer);
    CHECK(bytes >= once);
    CHECK(bytes < once / 10 * 14);
  }
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  const std::string folder = count > 1 ? arguments[1] : ".";
  {
    const Backends backends(folder);
    if (!backends.cpu || !backends.openvino) return 1;
    sizesAndWeights(backends);
    sizesAndSets(backends);
    sameContentElsewhere(backends, folder);
    writtenWeights(backends);
    signatures(backends);
    estimates(backends);
    narrowWeights(backends);
    changingFactors(backends, false);
  }
  const Backends inputs(folder, "weightInputs=1");
  changingFactors(inputs, true);
  everyLength(inputs);
  return report();
}
