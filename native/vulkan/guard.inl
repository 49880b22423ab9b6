// The functions of the backend's interfaces that may throw, each behind one that does not. ggml calls them
// from C and from threads that catch nothing.

namespace nd::vulkan {

// Graphs, on a backend of one model's thread.

inline ggml_backend_vk_context& contextOf(ggml_backend_t backend) {
  return *static_cast<ggml_backend_vk_context*>(backend->context);
}

// After a graph that was given up in the middle: waits for what was submitted, forgets what was recorded.
// Buffers that the graph asked for in vain are not asked for again by the next one.
inline void recover(ggml_backend_vk_context& context) {
  context.compute_ctx.reset();
  context.transfer_ctx.reset();
  context.num_additional_fused_ops = 0;
  context.fused_ops_write_mask = 0;
  context.fused_topk_moe_mode = TOPK_MOE_COUNT;
  context.fused_topk_moe_scale = false;
  context.prealloc_y_last_pipeline_used = nullptr;
  context.prealloc_y_last_tensor_used = nullptr;
  const auto sizeOf = [](const vk_buffer& buffer) { return buffer ? buffer->size : size_t{0}; };
  context.prealloc_size_x = sizeOf(context.prealloc_x);
  context.prealloc_size_y = sizeOf(context.prealloc_y);
  context.prealloc_size_split_k = sizeOf(context.prealloc_split_k);
  context.prealloc_size_add_rms_partials = sizeOf(context.prealloc_add_rms_partials);
  context.submit_pending = true;
  ggml_vk_synchronize(&context);
  ggml_vk_graph_cleanup(&context);
}

// All operations share one layout of descriptors, and a set that an operation with many buffers has used
// still names them when one with fewer uses it in the next graph. Vulkan allows that they are gone by then,
// but Mesa's lavapipe 22.3 looks at every descriptor of a bound set. So there each graph gets sets of its
// own.
inline void renewDescriptors(ggml_backend_t backend) {
  ggml_backend_vk_context& context = contextOf(backend);
  if (context.device->properties.deviceType != vk::PhysicalDeviceType::eCpu) return;
  ggml_backend_vk_synchronize(backend);
  for (const vk::DescriptorPool& pool : context.descriptor_pools)
    context.device->device.destroyDescriptorPool(pool);
  context.descriptor_pools.clear();
  context.descriptor_sets.clear();
}

inline ggml_status computeGraph(ggml_backend_t backend, ggml_cgraph* graph) {
  ggml_backend_vk_context& context = contextOf(backend);
  if (refuseLost(context.device)) return GGML_STATUS_FAILED;
  try {
    renewDescriptors(backend);
    return ggml_backend_vk_graph_compute(backend, graph);
  } catch (...) {
    const DeviceFailureKind kind = noteException(context.device);
    if (kind == DeviceFailureKind::Lost) return GGML_STATUS_FAILED;
    const DeviceFailure first = pending;
    try {
      recover(context);
    } catch (...) {
      noteException(context.device);
      lose(context.device);
    }
    pending = first;
    return kind == DeviceFailureKind::OutOfMemory ? GGML_STATUS_ALLOC_FAILED : GGML_STATUS_FAILED;
  }
}

// Runs an operation on a device that is not lost; what it throws becomes this thread's failure.
template <typename Operation>
bool guarded(const vk_device& device, Operation&& operation) {
  if (device && refuseLost(device)) return false;
  try {
    operation();
    return true;
  } catch (...) {
    noteException(device);
    return false;
  }
}

inline void synchronize(ggml_backend_t backend) {
  guarded(contextOf(backend).device, [&] { ggml_backend_vk_synchronize(backend); });
}

inline void setTensorAsync(ggml_backend_t backend, ggml_tensor* tensor, const void* data, size_t offset,
                           size_t size) {
  guarded(contextOf(backend).device,
          [&] { ggml_backend_vk_set_tensor_async(backend, tensor, data, offset, size); });
}

inline void getTensorAsync(ggml_backend_t backend, const ggml_tensor* tensor, void* data, size_t offset,
                           size_t size) {
  guarded(contextOf(backend).device,
          [&] { ggml_backend_vk_get_tensor_async(backend, tensor, data, offset, size); });
}

// One that was working on a lost device is left as it is.
inline void freeBackend(ggml_backend_t backend) {
  const vk_device device = contextOf(backend).device;
  if (isLost(device)) return;
  try {
    ggml_backend_vk_free(backend);
  } catch (...) {
    noteException(device);
    takeFailure();
  }
}

// Buffers, from any thread.

inline vk_device deviceOf(ggml_backend_buffer_t buffer) {
  return static_cast<ggml_backend_vk_buffer_context*>(buffer->context)->device.lock();
}

inline void setTensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, const void* data, size_t offset,
                      size_t size) {
  guarded(deviceOf(buffer), [&] { ggml_backend_vk_buffer_set_tensor(buffer, tensor, data, offset, size); });
}

inline void getTensor(ggml_backend_buffer_t buffer, const ggml_tensor* tensor, void* data, size_t offset,
                      size_t size) {
  const bool read = guarded(deviceOf(buffer),
                            [&] { ggml_backend_vk_buffer_get_tensor(buffer, tensor, data, offset, size); });
  if (!read) std::memset(data, 0, size);
}

inline void memsetTensor(ggml_backend_buffer_t buffer, ggml_tensor* tensor, uint8_t value, size_t offset,
                         size_t size) {
  guarded(deviceOf(buffer),
          [&] { ggml_backend_vk_buffer_memset_tensor(buffer, tensor, value, offset, size); });
}

inline bool copyTensor(ggml_backend_buffer_t buffer, const ggml_tensor* from, ggml_tensor* to) {
  bool copied = false;
  const bool done =
      guarded(deviceOf(buffer), [&] { copied = ggml_backend_vk_buffer_cpy_tensor(buffer, from, to); });
  return copied || !done;  // a failure is not made good by a copy through host memory
}

inline void clearBuffer(ggml_backend_buffer_t buffer, uint8_t value) {
  guarded(deviceOf(buffer), [&] { ggml_backend_vk_buffer_clear(buffer, value); });
}

// A device that is lost may still be at work with the memory; Vulkan promises that waiting for it ends.
inline void freeBuffer(ggml_backend_buffer_t buffer) {
  const vk_device device = deviceOf(buffer);
  if (device && isLost(device)) {
    try {
      const std::lock_guard<std::mutex> lock(queue_mutex);
      device->device.waitIdle();
    } catch (const std::exception&) {
      // That it is lost is known.
    }
  }
  ggml_backend_vk_buffer_free_buffer(buffer);
}

inline ggml_backend_buffer_t allocBuffer(ggml_backend_buffer_type_t type, size_t size) {
  const vk_device device = static_cast<ggml_backend_vk_buffer_type_context*>(type->context)->device;
  ggml_backend_buffer_t buffer = nullptr;
  guarded(device, [&] { buffer = ggml_backend_vk_buffer_type_alloc_buffer(type, size); });
  if (buffer == nullptr) return nullptr;
  buffer->iface.free_buffer = freeBuffer;
  buffer->iface.set_tensor = setTensor;
  buffer->iface.get_tensor = getTensor;
  buffer->iface.memset_tensor = memsetTensor;
  buffer->iface.cpy_tensor = copyTensor;
  buffer->iface.clear = clearBuffer;
  return buffer;
}

// Devices.

inline ggml_backend_buffer_type_t bufferType(ggml_backend_dev_t device) {
  ggml_backend_buffer_type_t type = ggml_backend_vk_device_get_buffer_type(device);
  type->iface.alloc_buffer = allocBuffer;
  return type;
}

inline ggml_backend_t initBackend(ggml_backend_dev_t device, const char* options) {
  ggml_backend_t backend = nullptr;
  guarded(nullptr, [&] { backend = ggml_backend_vk_device_init(device, options); });
  if (backend == nullptr) return nullptr;
  backend->iface.free = freeBackend;
  backend->iface.graph_compute = computeGraph;
  backend->iface.synchronize = synchronize;
  backend->iface.set_tensor_async = setTensorAsync;
  if (backend->iface.get_tensor_async != nullptr) backend->iface.get_tensor_async = getTensorAsync;
  return backend;
}

inline void memoryOf(ggml_backend_dev_t device, size_t* free, size_t* total) {
  *free = *total = 0;
  guarded(nullptr, [&] { ggml_backend_vk_device_get_memory(device, free, total); });
}

inline bool supportsOp(ggml_backend_dev_t device, const ggml_tensor* node) {
  bool supported = false;
  guarded(nullptr, [&] { supported = ggml_backend_vk_device_supports_op(device, node); });
  return supported;
}

inline ggml_backend_dev_t deviceAt(ggml_backend_reg_t registry, size_t index) {
  ggml_backend_dev_t device = nullptr;
  guarded(nullptr, [&] { device = ggml_backend_vk_reg_get_device(registry, index); });
  if (device == nullptr) return nullptr;
  device->iface.get_memory = memoryOf;
  device->iface.get_buffer_type = bufferType;
  device->iface.init_backend = initBackend;
  device->iface.supports_op = supportsOp;
  return device;
}

inline void* procAddress(ggml_backend_reg_t /*registry*/, const char* name) {
  return std::strcmp(name, takeDeviceFailureName) == 0 ? reinterpret_cast<void*>(takeFailure) : nullptr;
}

// null when there is no Vulkan 1.2 here: ggml then takes the module for one that cannot be used.
inline ggml_backend_reg_t registry() {
  ggml_backend_reg_t registry = nullptr;
  guarded(nullptr, [&] {
    ggml_vk_instance_init();  // ggml_backend_vk_reg() does too, and keeps the reason to itself
    registry = ggml_backend_vk_reg();
  });
  if (registry == nullptr) return nullptr;
  registry->iface.get_device = deviceAt;
  registry->iface.get_proc_address = procAddress;
  return registry;
}

}  // namespace nd::vulkan
