// Failures of devices whose module is guarded (native/vulkan): lost, out of memory, or something that it
// asserts. The module keeps the reason by thread; here it becomes the job's error.

namespace nd::upstream {

// null for a module that tells nothing.
inline TakeDeviceFailure failureSource(ggml_backend_dev_t device) {
  if (device == nullptr) return nullptr;
  return reinterpret_cast<TakeDeviceFailure>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), takeDeviceFailureName));
}

inline DeviceFailure takeDeviceFailure() {
  DeviceFailure first;
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    const auto take = reinterpret_cast<TakeDeviceFailure>(
        ggml_backend_reg_get_proc_address(ggml_backend_reg_get(i), takeDeviceFailureName));
    if (take == nullptr) continue;
    const DeviceFailure failure = take();
    if (failure.kind != DeviceFailureKind::None) first = failure;
  }
  return first;
}

inline EngineError deviceError(const DeviceFailure& failure) {
  const std::string reason = failure.reason;
  if (failure.kind == DeviceFailureKind::Lost)
    return {ErrorCode::DeviceLost, "The device was lost while it worked: " + reason + "."};
  if (failure.kind == DeviceFailureKind::OutOfMemory)
    return {ErrorCode::OutOfMemory, "The device has too little memory: " + reason + "."};
  return {ErrorCode::Engine, "The device failed: " + reason + "."};
}

// What went wrong on a device in a job, or in an operation of this thread outside graphs: the engine goes on
// after a read that failed, and would come to a wrong result.
inline void throwDeviceFailure(const DeviceFailure& ofGraph = {}) {
  const DeviceFailure pending = takeDeviceFailure();
  const DeviceFailure& failure = ofGraph.kind != DeviceFailureKind::None ? ofGraph : pending;
  if (failure.kind != DeviceFailureKind::None) throw deviceError(failure);
}

// What a device cannot compute it asserts in the middle of a graph; it is asked before.
inline void requireSupport(ggml_backend_dev_t device, ggml_cgraph* graph) {
  const int nodes = ggml_graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    ggml_tensor* node = ggml_graph_node(graph, i);
    if (ggml_backend_dev_supports_op(device, node)) continue;
    std::string shape;
    for (const int64_t length : shapeOf(node)) {
      if (!shape.empty()) shape += 'x';
      shape += std::to_string(length);
    }
    throw EngineError(ErrorCode::Engine, std::string("The device ") + ggml_backend_dev_name(device) +
                                             " cannot compute " + ggml_op_desc(node) + " of " + shape + " (" +
                                             ggml_type_name(node->type) +
                                             "). Where that is too large for it, tiling, vaeConvDirect, "
                                             "diffusionConvDirect or a smaller picture help.");
  }
}

// A failed graph is thrown where the engine asserts that graphs succeed; elsewhere it copes, and
// runOperation() finds the failure.
inline ggml_status computeGuarded(ggml_backend_t backend, ggml_backend_dev_t device, ggml_cgraph* graph) {
  if (active->abortGraphs && active->job.cancelled()) return GGML_STATUS_ABORTED;
  requireSupport(device, graph);
  const ggml_status status = ggml_backend_graph_compute(backend, graph);
  const DeviceFailure failure = takeDeviceFailure();
  if (failure.kind == DeviceFailureKind::None) return status;
  active->deviceFailure = failure;
  if (!active->abortGraphs) throw deviceError(failure);
  return status == GGML_STATUS_SUCCESS ? GGML_STATUS_FAILED : status;
}

}  // namespace nd::upstream
