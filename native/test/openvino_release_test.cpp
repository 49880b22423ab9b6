// Compiled graphs that are let go for memory that others need: which go, which stay, and that results are
// what they were.
#include <set>

#include "openvino_layer.h"

namespace nd::test {
namespace {

std::vector<uint64_t> numbers(const std::vector<Kept>& kept) {
  std::vector<uint64_t> result;
  result.reserve(kept.size());
  for (const Kept& one : kept) result.push_back(one.graph);
  return result;
}

using Numbers = std::vector<uint64_t>;
constexpr uint64_t kAll = UINT64_MAX;

// Four sizes of a model and a model beside it.
void leastRecentlyUsedFirst(const Backends& backends) {
  Layer layer(backends.openvino.get(), false, 8, 91);
  Layer beside(backends.openvino.get(), false, 8, 92);
  const std::vector<ggml_backend_buffer_t> buffers = {layer.weight->buffer};
  const std::vector<ggml_backend_buffer_t> others = {beside.weight->buffer};
  CHECK(release(backends, buffers, 0).empty());
  std::vector<std::unique_ptr<OtherSize>> sizes;
  std::vector<std::vector<float>> wanted;
  for (int64_t rows = 1; rows <= 4; ++rows) {
    sizes.push_back(std::make_unique<OtherSize>(backends, layer, rows));
    wanted.push_back(sizes.back()->compute());
  }
  CHECK(beside.net.compute() == GGML_STATUS_SUCCESS);
  // Asking changes nothing. Numbers grow, and JavaScript can hold them.
  const std::vector<Kept> kept = release(backends, buffers, 0);
  const Numbers all = numbers(kept);
  CHECK(all.size() == 4 && std::is_sorted(all.rbegin(), all.rend()) && all.front() < (uint64_t{1} << 53));
  CHECK(numbers(release(backends, buffers, 0)) == all);
  std::set<uint64_t> signatures;
  for (const Kept& one : kept) {
    CHECK(one.bytes > 0);
    signatures.insert(one.signature);
  }
  CHECK(signatures.size() == 4 && *signatures.rbegin() < (uint64_t{1} << 53));
  // Size 1 was used last: of the others the oldest goes for one byte, and so on.
  sizes[0]->compute();
  CHECK(numbers(release(backends, buffers, 0)) == Numbers({all[3], all[0], all[1], all[2]}));
  CHECK(numbers(release(backends, buffers, 1)) == Numbers({all[3], all[0], all[1]}));
  // What is to stay stays, whatever is wanted.
  CHECK(numbers(release(backends, buffers, kAll, {all[1], 7})) == Numbers({all[1]}));
  CHECK(release(backends, others, 0).size() == 1);
  Counter counter(backends);
  for (size_t i = 0; i < sizes.size(); ++i) CHECK(sizes[i]->compute() == wanted[i]);
  CHECK(counter.compilations() == 3);
  CHECK(backends.text("lastReason") == "it had left the cache");
  // Several for as many bytes as they have, and numbers are not given twice.
  const std::vector<Kept> anew = release(backends, buffers, 0);
  CHECK(anew.size() == 4);
  for (const uint64_t gone : {all[0], all[2], all[3]})
    CHECK(std::none_of(anew.begin(), anew.end(), [&](const Kept& one) { return one.graph == gone; }));
  CHECK(release(backends, buffers, anew[3].bytes + 1).size() == 2);
  CHECK(release(backends, buffers, kAll).empty());
  CHECK(release(backends, others, 0).size() == 1);
  CHECK(release(backends, {}, kAll).empty());
  CHECK(release(backends, others, 0).size() == 1);
}

// A graph that is computed on another thread stays, and so does what it computes.
void notWhatRuns(const Backends& backends, const std::string& folder) {
  const Backends others(folder);
  Layer layer(others.openvino.get(), false, 8, 93);
  const std::vector<ggml_backend_buffer_t> buffers = {layer.weight->buffer};
  CHECK(layer.net.compute() == GGML_STATUS_SUCCESS);
  const std::vector<float> wanted = layer.net.read();
  Held held(others.openvino.get(), layer.net);
  CHECK(release(backends, buffers, kAll).size() == 1);
  held.letGo();
  CHECK(layer.net.read() == wanted);
  CHECK(release(backends, buffers, kAll).empty());
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  const std::string folder = count > 1 ? arguments[1] : ".";
  const Backends backends(folder);
  if (!backends.cpu || !backends.openvino) return 1;
  leastRecentlyUsedFirst(backends);
  notWhatRuns(backends, folder);
  return report();
}
