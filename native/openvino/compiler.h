// From a graph to a Program. Any thread; OpenVINO's core exists once per process, made at the first use.
#pragma once

#include <memory>
#include <string>

#include "program.h"
#include "settings.h"

namespace nd::openvino {

ov::Core& core();
ov::AnyMap configuration(const Settings& settings);

// How much the process has come to hold since this was made; at least `least`, which is taken for it where
// other jobs have computed meanwhile: their memory is not to be told from this.
class ResidentGrowth {
 public:
  ResidentGrowth();
  uint64_t bytes(uint64_t least) const;

 private:
  uint64_t before_;
  uint64_t begun_;
  bool alone_;
};

// Never fails for what a graph contains: what OpenVINO does not take goes to the CPU parts. Throws where the
// settings cannot be met (an unknown device).
std::shared_ptr<Program> compile(const Graph& graph, const Settings& settings, bool adaptive);

}  // namespace nd::openvino
