// A Vulkan layer between the loader and a driver that makes what a healthy driver does not do. The variable
// ND_VULKAN_FAULT says what, and is read at every call:
//   submit, wait, status   vkQueueSubmit, vkWaitForFences, vkGetFenceStatus answer that the device is lost
//   allocation=N           from the Nth vkAllocateMemory on, counted since this value is there, there is no
//   device memory crash                  vkEnumeratePhysicalDevices ends the process, as a broken driver does
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

namespace {

PFN_vkGetInstanceProcAddr nextInstanceProc = nullptr;
// Looked up while the instance is made: later the loader answers with the first function of the chain, not
// the next.
PFN_vkEnumeratePhysicalDevices nextEnumerate = nullptr;
PFN_vkGetDeviceProcAddr nextDeviceProc = nullptr;
VkInstance instance = nullptr;

std::mutex mutex;
std::string counted;  // the value that allocations are counted for
uint64_t allocations = 0;

std::string fault() {
  const char* value = std::getenv("ND_VULKAN_FAULT");
  return value == nullptr ? "" : value;
}

// The next function of a device: the driver's, the same for every device of it.
template <typename Function>
Function next(VkDevice device, const char* name) {
  return reinterpret_cast<Function>(nextDeviceProc(device, name));
}

std::unordered_map<VkQueue, VkDevice> queues;

template <typename Info>
Info* linkOf(const void* chain, VkStructureType type) {
  for (auto* info = static_cast<const Info*>(chain); info != nullptr;
       info = static_cast<const Info*>(info->pNext)) {
    if (info->sType == type && info->function == VK_LAYER_LINK_INFO) return const_cast<Info*>(info);
  }
  return nullptr;
}

VkResult createInstance(const VkInstanceCreateInfo* create, const VkAllocationCallbacks* allocator,
                        VkInstance* result) {
  auto* info =
      linkOf<VkLayerInstanceCreateInfo>(create->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (info == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  nextInstanceProc = info->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  info->u.pLayerInfo = info->u.pLayerInfo->pNext;
  const auto call = reinterpret_cast<PFN_vkCreateInstance>(nextInstanceProc(nullptr, "vkCreateInstance"));
  const VkResult made = call(create, allocator, result);
  if (made != VK_SUCCESS) return made;
  instance = *result;
  nextEnumerate = reinterpret_cast<PFN_vkEnumeratePhysicalDevices>(
      nextInstanceProc(instance, "vkEnumeratePhysicalDevices"));
  return made;
}

VkResult createDevice(VkPhysicalDevice physical, const VkDeviceCreateInfo* create,
                      const VkAllocationCallbacks* allocator, VkDevice* result) {
  auto* info = linkOf<VkLayerDeviceCreateInfo>(create->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (info == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const auto instanceProc = info->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  nextDeviceProc = info->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  info->u.pLayerInfo = info->u.pLayerInfo->pNext;
  const auto call = reinterpret_cast<PFN_vkCreateDevice>(instanceProc(instance, "vkCreateDevice"));
  return call(physical, create, allocator, result);
}

VkResult enumerateDevices(VkInstance from, uint32_t* count, VkPhysicalDevice* devices) {
  if (fault() == "crash") std::abort();
  return nextEnumerate(from, count, devices);
}

void getQueue(VkDevice device, uint32_t family, uint32_t index, VkQueue* queue) {
  next<PFN_vkGetDeviceQueue>(device, "vkGetDeviceQueue")(device, family, index, queue);
  const std::lock_guard<std::mutex> lock(mutex);
  queues[*queue] = device;
}

VkResult submit(VkQueue queue, uint32_t count, const VkSubmitInfo* submits, VkFence fence) {
  if (fault() == "submit") return VK_ERROR_DEVICE_LOST;
  VkDevice device = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    device = queues[queue];
  }
  return next<PFN_vkQueueSubmit>(device, "vkQueueSubmit")(queue, count, submits, fence);
}

VkResult waitForFences(VkDevice device, uint32_t count, const VkFence* fences, VkBool32 all, uint64_t ns) {
  const VkResult waited =
      next<PFN_vkWaitForFences>(device, "vkWaitForFences")(device, count, fences, all, ns);
  return fault() == "wait" ? VK_ERROR_DEVICE_LOST : waited;
}

VkResult fenceStatus(VkDevice device, VkFence fence) {
  if (fault() == "status") return VK_ERROR_DEVICE_LOST;
  return next<PFN_vkGetFenceStatus>(device, "vkGetFenceStatus")(device, fence);
}

VkResult allocate(VkDevice device, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* allocator,
                  VkDeviceMemory* memory) {
  const std::string prefix = "allocation=";
  const std::string what = fault();
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (what != counted) allocations = 0;
    counted = what;
    ++allocations;
    if (what.rfind(prefix, 0) == 0 && allocations >= std::stoull(what.substr(prefix.size())))
      return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  }
  return next<PFN_vkAllocateMemory>(device, "vkAllocateMemory")(device, info, allocator, memory);
}

PFN_vkVoidFunction ours(const char* name) {
  static const std::unordered_map<std::string, PFN_vkVoidFunction> functions = {
      {"vkCreateInstance", reinterpret_cast<PFN_vkVoidFunction>(createInstance)},
      {"vkCreateDevice", reinterpret_cast<PFN_vkVoidFunction>(createDevice)},
      {"vkEnumeratePhysicalDevices", reinterpret_cast<PFN_vkVoidFunction>(enumerateDevices)},
      {"vkGetDeviceQueue", reinterpret_cast<PFN_vkVoidFunction>(getQueue)},
      {"vkQueueSubmit", reinterpret_cast<PFN_vkVoidFunction>(submit)},
      {"vkWaitForFences", reinterpret_cast<PFN_vkVoidFunction>(waitForFences)},
      {"vkGetFenceStatus", reinterpret_cast<PFN_vkVoidFunction>(fenceStatus)},
      {"vkAllocateMemory", reinterpret_cast<PFN_vkVoidFunction>(allocate)},
  };
  const auto found = functions.find(name);
  return found == functions.end() ? nullptr : found->second;
}

PFN_vkVoidFunction deviceProc(VkDevice device, const char* name) {
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) return reinterpret_cast<PFN_vkVoidFunction>(deviceProc);
  const PFN_vkVoidFunction function = ours(name);
  return function != nullptr ? function : nextDeviceProc(device, name);
}

PFN_vkVoidFunction instanceProc(VkInstance from, const char* name) {
  if (std::strcmp(name, "vkGetDeviceProcAddr") == 0) return reinterpret_cast<PFN_vkVoidFunction>(deviceProc);
  const PFN_vkVoidFunction function = ours(name);
  return function != nullptr ? function : nextInstanceProc(from, name);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) VkResult vkNegotiateLoaderLayerInterfaceVersion(
    VkNegotiateLayerInterface* asked) {
  asked->loaderLayerInterfaceVersion = 2;
  asked->pfnGetInstanceProcAddr = instanceProc;
  asked->pfnGetDeviceProcAddr = deviceProc;
  asked->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}
