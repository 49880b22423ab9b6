// Memory that ggml's CPU backend takes beside a graph while it computes it.
#pragma once

#include <cstddef>

#include "ggml-backend.h"

namespace nd {

// Bytes of the work buffer; depends on the number of threads the backend is set to. 0 on other devices. The
// backend keeps a buffer of the largest size so far until it is freed. May throw std::bad_alloc.
size_t workBytes(ggml_backend_t backend, ggml_cgraph* graph);

}  // namespace nd
