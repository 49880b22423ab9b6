// A source of its own: the engine's headers define functions of ggml-cpu.h once more.
#include "work_size.h"

#include "ggml-cpu.h"

namespace nd {

size_t workBytes(ggml_backend_t backend, ggml_cgraph* graph) {
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  if (device == nullptr || ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU) return 0;
  // With backends as modules ggml_graph_plan cannot be linked. A plan of the backend's own begins with what
  // that function returns; its buffer is allocated, but no page of it is touched.
  ggml_backend_graph_plan_t plan = ggml_backend_graph_plan_create(backend, graph);
  if (plan == nullptr) return 0;
  const size_t bytes = static_cast<const ggml_cplan*>(plan)->work_size;
  ggml_backend_graph_plan_free(backend, plan);
  return bytes;
}

}  // namespace nd
