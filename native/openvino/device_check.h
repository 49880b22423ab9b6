// Whether settings can be met here, before anything is loaded. Any thread.
#pragma once

#include "settings.h"

namespace nd::openvino {

// Compiles a network of one node as the settings want it; once for each settings. Throws
// std::invalid_argument with "invalid option: " before it where another value of an option would do, and
// without where the device is not there.
void checkDevice(const Settings& settings);

}  // namespace nd::openvino
