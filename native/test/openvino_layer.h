// A small network and what its compilations are counted with.
#pragma once

#include "check.h"
#include "openvino_net.h"

namespace nd::test {

// A small network with two weights: [k, n] in, [m, n] out.
struct Layer {
  Net net;
  ggml_tensor* weight;
  Layer(ggml_backend_t backend, bool reference, int64_t rows, uint64_t seed = 5)
      : net(backend, reference, seed) {
    ggml_tensor* x = net.input({64, rows});
    weight = net.weight(GGML_TYPE_F16, {64, 32}, 0.1F);
    ggml_tensor* y = ggml_silu(net.ctx(), ggml_mul_mat(net.ctx(), weight, x));
    net.build({ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {32, 16}), y)});
  }
};

class Counter {
 public:
  explicit Counter(const Backends& backends)
      : backends_(backends), before_(backends.figure("compilations")) {}
  int compilations() const { return static_cast<int>(backends_.figure("compilations") - before_); }

 private:
  const Backends& backends_;
  double before_;
};

}  // namespace nd::test
