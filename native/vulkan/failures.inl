// Why operations failed, and which devices are lost. Any thread.

#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

#include "failure.h"

namespace nd::vulkan {

inline thread_local DeviceFailure pending;

inline DeviceFailure takeFailure() { return std::exchange(pending, {}); }

inline void note(DeviceFailureKind kind, const std::string& reason) {
  pending.kind = kind;
  std::snprintf(pending.reason, sizeof(pending.reason), "%s", reason.c_str());
  GGML_LOG_ERROR("ggml_vulkan: %s\n", reason.c_str());
}

// Logical devices that were lost. They are never freed: what a driver does with one is not worth finding out.
struct LostDevices {
  std::atomic<bool> any{false};
  std::mutex mutex;
  std::vector<vk_device> devices;
};

inline LostDevices& lostDevices() {
  static LostDevices* lost =
      std::make_unique<LostDevices>().release();  // as long as the process: threads may ask while it exits
  return *lost;
}

inline bool isLost(const vk_device& device) {
  LostDevices& lost = lostDevices();
  if (!lost.any.load(std::memory_order_acquire)) return false;
  const std::lock_guard<std::mutex> lock(lost.mutex);
  return std::find(lost.devices.begin(), lost.devices.end(), device) != lost.devices.end();
}

// What is on the device is gone. Models that are loaded from now on get a new one, where the driver gives it.
inline void lose(const vk_device& device) {
  LostDevices& lost = lostDevices();
  const std::lock_guard<std::mutex> lock(lost.mutex);
  if (std::find(lost.devices.begin(), lost.devices.end(), device) != lost.devices.end()) return;
  lost.devices.push_back(device);
  lost.any.store(true, std::memory_order_release);
  for (size_t i = 0; i < vk_instance.device_indices.size(); ++i) {
    if (vk_instance.devices[i] != device) continue;
    vk_instance.devices[i].reset();
    try {
      ggml_vk_get_device(i);
    } catch (const std::exception& error) {
      GGML_LOG_ERROR("ggml_vulkan: no new device: %s\n", error.what());
      vk_instance.devices[i] = device;
    }
  }
}

inline bool refuseLost(const vk_device& device) {
  if (!isLost(device)) return false;
  note(DeviceFailureKind::Lost, "the device was lost before");
  return true;
}

// Of the exception that is being handled.
inline DeviceFailureKind noteException(const vk_device& device) {
  DeviceFailureKind kind = DeviceFailureKind::Other;
  std::string reason = "unknown exception";
  try {
    throw;
  } catch (const std::system_error& error) {
    reason = error.what();
    if (std::strcmp(error.code().category().name(), "vk::Result") == 0) {
      const int result = error.code().value();
      if (result == VK_ERROR_DEVICE_LOST) kind = DeviceFailureKind::Lost;
      if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        kind = DeviceFailureKind::OutOfMemory;
    }
  } catch (const std::bad_alloc&) {
    reason = "no host memory";
    kind = DeviceFailureKind::OutOfMemory;
  } catch (const std::exception& error) {
    reason = error.what();
    // The backend asserts that what one operation needs beside its tensors fits into one buffer of the
    // device.
    if (reason.find("preallocation size") != std::string::npos) kind = DeviceFailureKind::OutOfMemory;
  } catch (...) {
    reason = "unknown exception";
  }
  if (kind == DeviceFailureKind::Lost && device) lose(device);
  note(kind, reason);
  return kind;
}

}  // namespace nd::vulkan
