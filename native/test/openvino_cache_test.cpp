// The compile cache of the OpenVINO backend: what is compiled again and what is not, and never a stale
// result.
#include "check.h"
#include "openvino_net.h"

namespace nd::test {
namespace {

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

  // One element of one weight.
  std::vector<uint8_t> nudged = original;
  nudged[101] ^= 0x40;
  small.net.set(small.weight, nudged);
  CHECK(small.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 4);
  CHECK(large.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 4);  // another model's weights are its own
}

void sameContentElsewhere(const Backends& backends) {
  Layer first(backends.openvino.get(), false, 9);
  CHECK(first.net.compute() == GGML_STATUS_SUCCESS);
  const std::vector<float> wanted = first.net.read();
  Counter counter(backends);
  Layer second(backends.openvino.get(), false, 9);
  CHECK(second.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 0);
  CHECK(second.net.read() == wanted);
  // What was compiled reads the first one's memory. When that changes, it no longer is what the second needs.
  std::vector<uint8_t> changed = first.net.bytesOf(first.weight);
  for (size_t i = 1; i < changed.size(); i += 2) changed[i] ^= 0x80;
  first.net.set(first.weight, changed);
  CHECK(second.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(second.net.read() == wanted);
}

void modelsThatGo(const Backends& backends) {
  std::vector<float> wanted;
  {
    Layer gone(backends.openvino.get(), false, 10);
    CHECK(gone.net.compute() == GGML_STATUS_SUCCESS);
    wanted = gone.net.read();
  }
  Counter counter(backends);
  Layer next(backends.openvino.get(), false, 10);
  CHECK(next.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 1);  // what was compiled left with the memory it read
  CHECK(next.net.read() == wanted);
}

void bounded(const std::string& folder) {
  const Backends backends(folder, "cacheBytes=1");
  const double before = backends.figure("evictions");
  Layer one(backends.openvino.get(), false, 11);
  Layer two(backends.openvino.get(), false, 12);
  for (int i = 0; i < 2; ++i) {
    CHECK(one.net.compute() == GGML_STATUS_SUCCESS);
    CHECK(two.net.compute() == GGML_STATUS_SUCCESS);
  }
  CHECK(backends.figure("evictions") - before >= 3);
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

void settings(const std::string& folder) {
  CHECK(!Backends(folder, "precision=f64").openvino);
  CHECK(!Backends(folder, "colour=red").openvino);
  CHECK(!Backends(folder, "threads=-1").openvino);
  CHECK(!Backends(folder, "device=NOWHERE").openvino);
  const Backends threaded(folder, "device=CPU\nprecision=f32\nthreads=1\nstreams=1");
  Layer wanted(threaded.cpu.get(), true, 3);
  CHECK(wanted.net.compute() == GGML_STATUS_SUCCESS);
  Layer other(threaded.openvino.get(), false, 3);
  CHECK(other.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(relativeError(other.net.read(), wanted.net.read()) < 1e-2);
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
    sameContentElsewhere(backends);
    modelsThatGo(backends);
    writtenWeights(backends);
  }
  bounded(folder);
  settings(folder);
  return report();
}
