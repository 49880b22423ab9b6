// What a guarded backend module tells beside ggml's status: why its last operation on this thread failed.
// Found through ggml_backend_reg_get_proc_address by the name below. Plain data, since module and engine are
// compiled apart.
#pragma once

namespace nd {

enum class DeviceFailureKind : int { None, Lost, OutOfMemory, Other };

struct DeviceFailure {
  DeviceFailureKind kind = DeviceFailureKind::None;
  char reason[400] = {};  // what the driver or the backend said, cut off
};

// The failure of this thread since it was last asked; that is forgotten then.
using TakeDeviceFailure = DeviceFailure (*)();
inline constexpr const char* takeDeviceFailureName = "nd_take_device_failure";

}  // namespace nd
