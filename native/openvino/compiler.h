// From a graph to a Program. Any thread; OpenVINO's core exists once per process, made at the first use.
#pragma once

#include <memory>
#include <string>

#include "program.h"
#include "settings.h"

namespace nd::openvino {

ov::Core& core();

// Never fails for what a graph contains: what OpenVINO does not take goes to the CPU parts. Throws where the
// settings cannot be met (an unknown device).
std::shared_ptr<Program> compile(const Graph& graph, const Settings& settings);

}  // namespace nd::openvino
