#include "settings.h"

#include <sstream>
#include <stdexcept>

namespace nd::openvino {
namespace {

uint64_t number(const std::string& name, const std::string& value) {
  size_t used = 0;
  const uint64_t result = value.empty() ? 0 : std::stoull(value, &used);
  if (used != value.size() || value.empty() || value[0] == '-')
    throw std::invalid_argument("OpenVINO setting \"" + name + "\": \"" + value + "\" is no number");
  return result;
}

}  // namespace

Settings Settings::parse(const char* text) {
  Settings settings;
  if (text == nullptr) return settings;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = line.substr(0, equals);
    const std::string value = line.substr(equals + 1);
    if (name == "device") {
      settings.device = value;
    } else if (name == "precision") {
      if (value != "f32" && value != "bf16" && value != "f16")
        throw std::invalid_argument("OpenVINO setting \"precision\": \"" + value +
                                    "\" is not f32, bf16 or f16");
      settings.precision = value;
    } else if (name == "threads") {
      settings.threads = static_cast<int>(number(name, value));
    } else if (name == "streams") {
      settings.streams = static_cast<int>(number(name, value));
    } else if (name == "cacheBytes") {
      settings.cacheBytes = number(name, value);
    } else if (name == "weightInputs") {
      settings.weightInputs = number(name, value) != 0;
    } else if (name == "diskCache") {
      settings.diskCache = value;
    } else if (name == "diskCacheBytes") {
      settings.diskCacheBytes = number(name, value);
    } else if (name == "aheadBytes") {
      settings.aheadBytes = number(name, value);
    } else if (name == "aheadSeconds") {
      settings.aheadSeconds = static_cast<int>(number(name, value));
    } else if (name == "model") {
      if (value.find_first_not_of("0123456789abcdef") != std::string::npos)
        throw std::invalid_argument("OpenVINO setting \"model\": \"" + value + "\" is not hexadecimal");
      settings.model = value;
    } else {
      throw std::invalid_argument("OpenVINO setting \"" + name + "\" is unknown");
    }
  }
  return settings;
}

std::string Settings::key() const {
  return device + '\n' + precision + '\n' + std::to_string(threads) + '\n' + std::to_string(streams);
}

}  // namespace nd::openvino
