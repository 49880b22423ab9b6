#include "device_check.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

#include "compiler.h"
#include "rules.h"

namespace nd::openvino {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nothing" : text;
}

bool has(const std::vector<std::string>& names, const char* name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// AUTO, HETERO:GPU,CPU and so on: OpenVINO chooses among devices.
bool isVirtual(const std::string& device) {
  const std::string name = device.substr(0, device.find(':'));
  return name == "AUTO" || name == "MULTI" || name == "HETERO" || name == "BATCH";
}

// Asking for all devices starts all drivers, so nobody asks for the sake of the CPU.
void checkName(const std::string& name) {
  if (name == "CPU" || isVirtual(name)) return;
  const std::vector<std::string> known = core().get_available_devices();
  for (const std::string& device : known)
    if (device == name || device.rfind(name + '.', 0) == 0) return;
  throw std::invalid_argument("OpenVINO finds no device \"" + name + "\" here, but " + listed(known));
}

// What a device lacks it replaces unasked: a CPU without f16 computes in bf16.
void checkPrecision(const Settings& settings) {
  if (settings.precision == "f32" || isVirtual(settings.device)) return;
  const std::vector<std::string> able = core().get_property(settings.device, ov::device::capabilities);
  if (has(able, settings.precision == "f16" ? "FP16" : "BF16")) return;
  std::vector<std::string> given{"f32"};
  if (has(able, "BF16")) given.emplace_back("bf16");
  if (has(able, "FP16")) given.emplace_back("f16");
  throw std::invalid_argument("invalid option: the device " + settings.device + " (" +
                              core().get_property(settings.device, ov::device::full_name) +
                              ") does not compute in " + settings.precision + "; openvino.precision can be " +
                              listed(given));
}

void compileOneNode(const Settings& settings) {
  const auto input = std::make_shared<ov::op::v0::Parameter>(ov::element::f32, ov::Shape{1, 8});
  const auto model = std::make_shared<ov::Model>(ov::OutputVector{std::make_shared<ov::op::v0::Relu>(input)},
                                                 ov::ParameterVector{input}, "check");
  try {
    core().compile_model(model, settings.device, configuration(settings)).create_infer_request();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw std::invalid_argument("OpenVINO does not take the device \"" + settings.device +
                                "\" with these settings (precision " + settings.precision + ", threads " +
                                std::to_string(settings.threads) + "): " + error.what());
  }
}

}  // namespace

void checkDevice(const Settings& settings) {
  static std::mutex mutex;
  static std::set<std::string> good;
  const std::lock_guard lock(mutex);
  if (good.count(settings.key()) != 0) return;
  checkName(settings.device);
  checkPrecision(settings);
  compileOneNode(settings);
  good.insert(settings.key());
}

}  // namespace nd::openvino
