// A small network and what its compilations are counted with.
#pragma once

#include <chrono>
#include <future>
#include <mutex>
#include <thread>

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

// A graph of another size over the first weight of a layer.
class OtherSize {
 public:
  OtherSize(const Backends& backends, Layer& layer, int64_t rows) : backend_(backends.openvino.get()) {
    ggml_context* ctx = layer.net.ctx();
    input_ = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, 64, rows);
    ggml_set_input(input_);
    output_ = ggml_mul_mat(ctx, layer.weight, input_);
    graph_ = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph_, output_);
    allocator_.reset(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_)));
    ggml_gallocr_alloc_graph(allocator_.get(), graph_);
  }
  std::vector<float> compute() {
    const std::vector<float> ones(static_cast<size_t>(ggml_nelements(input_)), 1.0F);
    ggml_backend_tensor_set(input_, ones.data(), 0, ggml_nbytes(input_));
    CHECK(ggml_backend_graph_compute(backend_, graph_) == GGML_STATUS_SUCCESS);
    return Net::values(output_);
  }

 private:
  ggml_backend_t backend_;
  Owned<ggml_gallocr> allocator_;
  ggml_tensor* input_;
  ggml_tensor* output_;
  ggml_cgraph* graph_;
};

// What is called at safe points of a backend's graphs, until this goes.
class SafePoint {
 public:
  SafePoint(ggml_backend_t backend, std::function<void()> call) : backend_(backend), call_(std::move(call)) {
    const auto asked = [](void* own) {
      static_cast<SafePoint*>(own)->call_();
      return false;
    };
    set_(backend_, asked, this);
  }
  ~SafePoint() { set_(backend_, nullptr, nullptr); }
  SafePoint(const SafePoint&) = delete;
  SafePoint& operator=(const SafePoint&) = delete;

 private:
  ggml_backend_t backend_;
  std::function<void()> call_;
  ggml_backend_set_abort_callback_t set_ =
      procedure<ggml_backend_set_abort_callback_t>("ggml_backend_set_abort_callback");
};

// A graph that another thread computes, held at a safe point until it is let go.
class Held {
 public:
  Held(ggml_backend_t backend, Net& net)
      : safePoint_(backend,
                   [this] {
                     std::call_once(once_, [this] { running_.set_value(); });
                     CHECK(ended_.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
                   }),
        thread_([&net] { CHECK(net.compute() == GGML_STATUS_SUCCESS); }) {
    running_.get_future().wait();
  }
  void letGo() {
    done_.set_value();
    thread_.join();
  }

 private:
  std::once_flag once_;
  std::promise<void> running_;
  std::promise<void> done_;
  const std::shared_future<void> ended_ = done_.get_future().share();
  const SafePoint safePoint_;
  std::jthread thread_;
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
