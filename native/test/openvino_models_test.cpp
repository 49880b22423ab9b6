// What the compile cache of the OpenVINO backend keeps: of models that go and that lie beside each other,
// within its bounds, and under which settings.
#include "openvino_layer.h"

namespace nd::test {
namespace {

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
  // The same content is no change: it is compiled as the first was.
  CHECK(next.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 1);
}

// A model's past goes with it: what another of the same shapes and other weights compiles is new.
void reasons(const Backends& backends) {
  const auto reason = [&](Layer& layer) {
    CHECK(layer.net.compute() == GGML_STATUS_SUCCESS);
    return backends.text("lastReason");
  };
  for (const uint64_t seed : {41, 42}) {
    Layer layer(backends.openvino.get(), false, 14, seed);
    CHECK(reason(layer) == "new size or network");
    std::vector<uint8_t> changed = layer.net.bytesOf(layer.weight);
    for (size_t i = 1; i < changed.size(); i += 2) changed[i] ^= 0x80;
    layer.net.set(layer.weight, changed);
    CHECK(reason(layer) == "weights changed");
  }
  Layer layer(backends.openvino.get(), false, 14, 43);
  Layer beside(backends.openvino.get(), false, 14, 44);
  CHECK(reason(layer) == "new size or network");
  CHECK(reason(beside) == "new size or network");
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

// What has a bound of its own leaves others' graphs alone.
void boundsOfOthers(const Backends& backends, const std::string& folder) {
  const Backends narrow(folder, "cacheBytes=1");
  Layer ours(backends.openvino.get(), false, 13);
  CHECK(ours.net.compute() == GGML_STATUS_SUCCESS);
  Layer one(narrow.openvino.get(), false, 14);
  Layer two(narrow.openvino.get(), false, 15);
  CHECK(one.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(two.net.compute() == GGML_STATUS_SUCCESS);
  const Counter counter(backends);
  CHECK(ours.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 0);
  CHECK(one.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(counter.compilations() == 1);
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
    modelsThatGo(backends);
    reasons(backends);
    boundsOfOthers(backends, folder);
  }
  bounded(folder);
  settings(folder);
  return report();
}
