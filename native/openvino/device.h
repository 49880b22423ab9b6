// The registry's face: one ggml device, which stands for whatever OpenVINO device the settings name.
#pragma once

#include "ggml-backend-impl.h"

namespace nd::openvino {

ggml_backend_reg_t registry();
ggml_backend_dev_t device();

}  // namespace nd::openvino
