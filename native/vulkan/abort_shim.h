// Included before ggml's Vulkan backend: what would end the process is thrown instead. Its calls of exit()
// come right after it waited for the device in vain, and the wait has no time limit, so the device is lost.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "ggml-backend-impl.h"
#include "ggml-impl.h"
#include "ggml.h"

namespace nd::vulkan {

// Numbers as VkResult; the category of Vulkan's own exceptions has this name too.
class ResultCategory : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "vk::Result"; }
  [[nodiscard]] std::string message(int) const override { return "waiting for the device failed"; }
};

[[noreturn]] inline void waitFailed() {
  static const ResultCategory category;
  constexpr int deviceLost = -4;  // VK_ERROR_DEVICE_LOST
  throw std::system_error(std::error_code(deviceLost, category));
}

template <typename... Values>
[[noreturn]] void asserted(const char* file, int line, const char* format, Values... values) {
  char text[512];
  if constexpr (sizeof...(values) == 0)
    std::snprintf(text, sizeof(text), "%s", format);
  else
    std::snprintf(text, sizeof(text), format, values...);
  const std::string path = file;
  throw std::logic_error(path.substr(path.rfind('/') + 1) + ":" + std::to_string(line) + ": " + text);
}

}  // namespace nd::vulkan

#undef GGML_ABORT
#define GGML_ABORT(...) ::nd::vulkan::asserted(__FILE__, __LINE__, __VA_ARGS__)
#define exit(code) ::nd::vulkan::waitFailed()
// ggml's own entry point of the module; module.cpp has ours.
#undef GGML_BACKEND_DL_IMPL
#define GGML_BACKEND_DL_IMPL(registry)
