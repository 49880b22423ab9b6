// The guard of the Vulkan module on small graphs: a lost device and missing memory are failed operations with
// their reason, and the module goes on. Started with vulkan_fault_layer.cpp between loader and driver;
// ND_VULKAN_FAULT says what fails.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "check.h"
#include "failure.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml.h"

namespace {

constexpr size_t kLength = 1000;
constexpr int kSteps = 40;
constexpr const char* faultVariable = "ND_VULKAN_FAULT";

struct Deleter {
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
  void operator()(ggml_context* context) const { ggml_free(context); }
};
template <typename Thing>
using Owned = std::unique_ptr<Thing, Deleter>;

class Fault {
 public:
  explicit Fault(const char* what) { setenv(faultVariable, what, 1); }
  ~Fault() { unsetenv(faultVariable); }
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
};

nd::TakeDeviceFailure takeFailure = nullptr;

nd::DeviceFailureKind kind() { return takeFailure().kind; }

// y = a + x + x + …, long enough for the backend to wait in both of its ways; on a backend of its own.
class Sum {
 public:
  explicit Sum(ggml_backend_dev_t device) {
    backend_.reset(ggml_backend_dev_init(device, nullptr));
    context_.reset(ggml_init({ggml_tensor_overhead() * (kSteps + 8) + ggml_graph_overhead(), nullptr, true}));
    a_ = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, kLength);
    x_ = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, kLength);
    y_ = a_;
    for (int i = 0; i < kSteps; ++i) y_ = ggml_add(context_.get(), y_, x_);
    graph_ = ggml_new_graph(context_.get());
    ggml_build_forward_expand(graph_, y_);
    if (backend_ == nullptr) return;
    buffer_.reset(ggml_backend_alloc_ctx_tensors(context_.get(), backend_.get()));
  }

  bool ready() const { return backend_ != nullptr && buffer_ != nullptr; }

  bool fill() {
    const std::vector<float> ones(kLength, 1.0F);
    const std::vector<float> twos(kLength, 2.0F);
    ggml_backend_tensor_set(a_, ones.data(), 0, ggml_nbytes(a_));
    ggml_backend_tensor_set(x_, twos.data(), 0, ggml_nbytes(x_));
    return kind() == nd::DeviceFailureKind::None;
  }

  ggml_status compute() { return ggml_backend_graph_compute(backend_.get(), graph_); }

  bool right() {
    std::vector<float> values(kLength);
    ggml_backend_tensor_get(y_, values.data(), 0, ggml_nbytes(y_));
    for (const float value : values) {
      if (value != 1.0F + 2.0F * kSteps) return false;
    }
    return kind() == nd::DeviceFailureKind::None;
  }

 private:
  Owned<ggml_backend> backend_;
  Owned<ggml_context> context_;
  Owned<ggml_backend_buffer> buffer_;
  ggml_tensor* a_ = nullptr;
  ggml_tensor* x_ = nullptr;
  ggml_tensor* y_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
};

void works(ggml_backend_dev_t device) {
  Sum sum(device);
  CHECK(sum.ready() && sum.fill());
  CHECK(sum.compute() == GGML_STATUS_SUCCESS);
  CHECK(sum.right());
}

// What is on the lost device stays lost; what is made afterwards works.
void isLost(ggml_backend_dev_t device, const char* fault) {
  Sum sum(device);
  CHECK(sum.ready() && sum.fill());
  {
    const Fault set(fault);
    const ggml_status status = sum.compute();
    const nd::DeviceFailure failure = takeFailure();
    CHECK(failure.kind == nd::DeviceFailureKind::Lost);
    CHECK(status != GGML_STATUS_SUCCESS || std::strlen(failure.reason) > 0);
  }
  CHECK(sum.compute() == GGML_STATUS_FAILED);
  CHECK(kind() == nd::DeviceFailureKind::Lost);
  CHECK(!sum.right());
  takeFailure();
  works(device);
}

void lacksMemory(ggml_backend_dev_t device) {
  {
    const Fault set("allocation=1");
    CHECK(!Sum(device).ready());
  }
  takeFailure();
  works(device);
}

}  // namespace

int main(int argc, char** argv) {
  ggml_backend_reg_t registry = argc < 2 ? nullptr : ggml_backend_load(argv[1]);
  if (registry == nullptr || ggml_backend_reg_dev_count(registry) == 0) {
    std::printf("usage: vulkan_guard_test libggml-vulkan.so, where there is a Vulkan device\n");
    return 1;
  }
  takeFailure = reinterpret_cast<nd::TakeDeviceFailure>(
      ggml_backend_reg_get_proc_address(registry, nd::takeDeviceFailureName));
  CHECK(takeFailure != nullptr);
  if (takeFailure == nullptr) return nd::test::report();
  ggml_backend_dev_t device = ggml_backend_reg_dev_get(registry, 0);
  works(device);
  lacksMemory(device);
  for (const char* fault : {"submit", "wait", "status"}) isLost(device, fault);
  works(device);
  return nd::test::report();
}
