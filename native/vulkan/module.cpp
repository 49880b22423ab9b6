// The one translation unit that sees the internals of ggml's Vulkan backend: it includes ggml-vulkan.cpp in
// place of that object file. What the backend asserts or exits over is thrown here instead, and guard.inl
// turns every exception into a failed operation, whose reason the engine's side asks for (failure.h).
#include "abort_shim.h"

#include "ggml-vulkan.cpp"

#include "failures.inl"
#include "guard.inl"

extern "C" {
GGML_BACKEND_API ggml_backend_reg_t ggml_backend_init(void);
}
ggml_backend_reg_t ggml_backend_init(void) { return nd::vulkan::registry(); }
