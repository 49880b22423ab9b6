// Small networks built twice from one description: for OpenVINO as they are, and for ggml's CPU backend as
// the reference, where all weights are unpacked to f32 and approximations of ggml's kernels can be written
// out.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml.h"

namespace nd::test {

struct Free {
  void operator()(ggml_context* context) const noexcept { ggml_free(context); }
  void operator()(ggml_backend_buffer* buffer) const noexcept { ggml_backend_buffer_free(buffer); }
  void operator()(ggml_backend* backend) const noexcept { ggml_backend_free(backend); }
  void operator()(ggml_gallocr* allocator) const noexcept { ggml_gallocr_free(allocator); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

using Dims = std::vector<int64_t>;

class Net {
 public:
  Net(ggml_backend_t backend, bool reference, uint64_t seed)
      : reference(reference),
        random(seed),
        backend_(backend),
        weights_(newContext()),
        context_(newContext()) {}

  const bool reference;
  std::mt19937_64 random;

  ggml_context* ctx() { return context_.get(); }
  int64_t size(int64_t from, int64_t to) { return std::uniform_int_distribution<int64_t>(from, to)(random); }

  ggml_tensor* weight(ggml_type type, const Dims& ne, float spread = 1.0F) {
    const std::vector<float> values = numbers(ne, spread);
    std::vector<uint8_t> packed(ggml_row_size(type, ne[0]) * (values.size() / static_cast<size_t>(ne[0])));
    const auto rows = static_cast<int64_t>(values.size()) / ne[0];
    const std::vector<float> importance(static_cast<size_t>(ne[0]), 1.0F);
    ggml_quantize_chunk(type, values.data(), packed.data(), 0, rows, ne[0], importance.data());
    ggml_tensor* tensor =
        ggml_new_tensor(weights_.get(), reference ? GGML_TYPE_F32 : type, count(ne), ne.data());
    if (reference && type != GGML_TYPE_F32) {
      std::vector<float> unpacked(values.size());
      ggml_get_type_traits(type)->to_float(packed.data(), unpacked.data(),
                                           static_cast<int64_t>(unpacked.size()));
      keep(tensor, unpacked.data(), unpacked.size() * sizeof(float));
    } else {
      keep(tensor, packed.data(), packed.size());
    }
    return tensor;
  }
  ggml_tensor* input(const Dims& ne, float spread = 1.0F) {
    const std::vector<float> values = numbers(ne, spread);
    ggml_tensor* tensor = ggml_new_tensor(ctx(), GGML_TYPE_F32, count(ne), ne.data());
    ggml_set_input(tensor);
    keep(tensor, values.data(), values.size() * sizeof(float));
    return tensor;
  }
  ggml_tensor* positive(const Dims& ne) {
    std::vector<float> values = numbers(ne, 1.0F);
    for (float& value : values) value = std::fabs(value) + 0.1F;
    ggml_tensor* tensor = ggml_new_tensor(ctx(), GGML_TYPE_F32, count(ne), ne.data());
    ggml_set_input(tensor);
    keep(tensor, values.data(), values.size() * sizeof(float));
    return tensor;
  }
  ggml_tensor* integers(const Dims& ne, int64_t below) {
    ggml_tensor* tensor = ggml_new_tensor(ctx(), GGML_TYPE_I32, count(ne), ne.data());
    ggml_set_input(tensor);
    std::vector<int32_t> values(static_cast<size_t>(ggml_nelements(tensor)));
    for (int32_t& value : values) value = static_cast<int32_t>(size(0, below - 1));
    keep(tensor, values.data(), values.size() * sizeof(int32_t));
    return tensor;
  }
  ggml_tensor* constant(float value) {
    ggml_tensor* tensor = ggml_new_tensor_1d(ctx(), GGML_TYPE_F32, 1);
    ggml_set_name(tensor, "ggml_runner_build_in_tensor:one");
    ggml_set_input(tensor);
    keep(tensor, &value, sizeof(value));
    return tensor;
  }

  // Gives everything its memory; the outputs are read back by run().
  void build(const std::vector<ggml_tensor*>& outputs) {
    outputs_ = outputs;
    graph_ = ggml_new_graph_custom(ctx(), 4096, false);
    for (ggml_tensor* output : outputs) ggml_build_forward_expand(graph_, output);
    if (ggml_get_first_tensor(weights_.get()) != nullptr) {
      weightBuffer_.reset(ggml_backend_alloc_ctx_tensors(weights_.get(), backend_));
      ggml_backend_buffer_set_usage(weightBuffer_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    }
    allocator_.reset(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_)));
    ggml_gallocr_alloc_graph(allocator_.get(), graph_);
    for (const auto& [tensor, bytes] : data_)
      if (weightBuffer_ && tensor->buffer == weightBuffer_.get()) set(tensor, bytes);
  }
  ggml_status compute() {
    for (const auto& [tensor, bytes] : data_)
      if (tensor->buffer != nullptr && (!weightBuffer_ || tensor->buffer != weightBuffer_.get()))
        set(tensor, bytes);
    return ggml_backend_graph_compute(backend_, graph_);
  }
  std::vector<float> read(size_t output = 0) const { return values(outputs_[output]); }
  static std::vector<float> values(const ggml_tensor* tensor) {
    std::vector<uint8_t> bytes(ggml_nbytes(tensor));
    ggml_backend_tensor_get(tensor, bytes.data(), 0, bytes.size());
    std::vector<float> result;
    for (int64_t d = 0; d < tensor->ne[3]; ++d)
      for (int64_t c = 0; c < tensor->ne[2]; ++c)
        for (int64_t b = 0; b < tensor->ne[1]; ++b)
          for (int64_t a = 0; a < tensor->ne[0]; ++a) {
            const uint8_t* at =
                bytes.data() + a * tensor->nb[0] + b * tensor->nb[1] + c * tensor->nb[2] + d * tensor->nb[3];
            result.push_back(number(tensor->type, at));
          }
    return result;
  }
  std::vector<uint8_t>& bytesOf(ggml_tensor* tensor) { return data_[tensor]; }
  void set(ggml_tensor* tensor, const std::vector<uint8_t>& bytes) {
    ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
  }
  ggml_cgraph* graph() const { return graph_; }

 private:
  static Owned<ggml_context> newContext() {
    return Owned<ggml_context>(
        ggml_init({ggml_tensor_overhead() * 4096 + ggml_graph_overhead_custom(4096, false), nullptr, true}));
  }
  static int count(const Dims& ne) { return static_cast<int>(ne.size()); }
  static float number(ggml_type type, const uint8_t* at) {
    if (type == GGML_TYPE_F16) return ggml_fp16_to_fp32(*reinterpret_cast<const ggml_fp16_t*>(at));
    if (type == GGML_TYPE_I32) return static_cast<float>(*reinterpret_cast<const int32_t*>(at));
    return *reinterpret_cast<const float*>(at);
  }
  std::vector<float> numbers(const Dims& ne, float spread) {
    int64_t elements = 1;
    for (const int64_t n : ne) elements *= n;
    std::normal_distribution<float> normal(0.0F, spread);
    std::vector<float> values(static_cast<size_t>(elements));
    for (float& value : values) value = normal(random);
    return values;
  }
  void keep(ggml_tensor* tensor, const void* data, size_t bytes) {
    const auto* from = static_cast<const uint8_t*>(data);
    data_[tensor].assign(from, from + bytes);
  }

  ggml_backend_t backend_;
  Owned<ggml_context> weights_;
  Owned<ggml_context> context_;
  Owned<ggml_backend_buffer> weightBuffer_;
  Owned<ggml_gallocr> allocator_;
  std::map<ggml_tensor*, std::vector<uint8_t>> data_;
  std::vector<ggml_tensor*> outputs_;
  ggml_cgraph* graph_ = nullptr;
};

// A function of the module, by the name that ggml asks for; null where it has none.
template <typename Function>
Function procedure(const char* name) {
  ggml_backend_reg_t registry = ggml_backend_reg_by_name("OpenVINO");
  return registry == nullptr ? nullptr
                             : reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(registry, name));
}

// Both backends, from the modules of a folder.
struct Backends {
  Owned<ggml_backend> cpu;
  Owned<ggml_backend> openvino;
  std::function<const char*()> report;

  explicit Backends(const std::string& folder, const char* settings = nullptr) {
    if (ggml_backend_reg_by_name("CPU") == nullptr) ggml_backend_load_all_from_path(folder.c_str());
    if (ggml_backend_reg_by_name("OpenVINO") == nullptr)
      ggml_backend_load((folder + "/libggml-openvino.so").c_str());
    cpu.reset(ggml_backend_init_by_name("CPU", nullptr));
    openvino.reset(ggml_backend_init_by_name("OpenVINO", settings));
    report = procedure<const char* (*)()>("ggml_backend_openvino_report");
  }
  // A figure of the module's report.
  double figure(const std::string& name) const {
    const std::string text = report();
    const size_t at = text.find('"' + name + "\":");
    return at == std::string::npos ? -1 : std::atof(text.c_str() + at + name.size() + 3);
  }
  // A text of it.
  std::string text(const std::string& name) const {
    const std::string report = this->report();
    const std::string key = '"' + name + "\":\"";
    const size_t at = report.find(key);
    if (at == std::string::npos) return "";
    const size_t begin = at + key.size();
    return report.substr(begin, report.find('"', begin) - begin);
  }
};

struct Kept {
  uint64_t graph;
  uint64_t signature;
  uint64_t bytes;
};

// What stays of a model's graphs, most recently used first, when so many bytes are wanted.
inline std::vector<Kept> release(const Backends& backends, const std::vector<ggml_backend_buffer_t>& buffers,
                                 uint64_t bytes, const std::vector<uint64_t>& keep = {}) {
  using Listener = void (*)(void*, uint64_t, uint64_t, uint64_t);
  using Release = void (*)(ggml_backend_t, const ggml_backend_buffer_t*, size_t, const uint64_t*, size_t,
                           uint64_t, Listener, void*);
  const auto call = procedure<Release>("ggml_backend_openvino_release");
  CHECK(call != nullptr);
  std::vector<Kept> left;
  const auto add = [](void* list, uint64_t graph, uint64_t signature, uint64_t size) {
    static_cast<std::vector<Kept>*>(list)->push_back({graph, signature, size});
  };
  call(backends.openvino.get(), buffers.data(), buffers.size(), keep.data(), keep.size(), bytes, add, &left);
  return left;
}

// Largest difference, of the largest value.
inline double relativeError(const std::vector<float>& got, const std::vector<float>& wanted) {
  if (got.size() != wanted.size() || wanted.empty()) return INFINITY;
  double difference = 0;
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) != std::isnan(wanted[i])) return INFINITY;
    if (std::isnan(got[i]) || got[i] == wanted[i]) continue;
    difference = std::fmax(difference, std::fabs(static_cast<double>(got[i]) - wanted[i]));
    largest = std::fmax(largest, std::fabs(wanted[i]));
  }
  return difference == 0 ? 0 : difference / std::fmax(largest, 1e-30);
}

inline uint64_t testSeed() {
  const char* given = std::getenv("NODE_DIFFUSION_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("NODE_DIFFUSION_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace nd::test
