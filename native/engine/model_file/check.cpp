#include "check.h"

#include <array>
#include <cstring>
#include <filesystem>

#include "source.h"

namespace nd {
namespace {

Container checkFile(const std::string& path) {
  model_file::Source source(path);
  constexpr uint64_t shortest = 9;
  if (source.size() < shortest) source.corrupt("it has only " + std::to_string(source.size()) + " bytes");
  std::array<char, 4> head{};
  source.read(0, head.data(), head.size(), "its first bytes");
  // In the engine's order, so that nothing is taken for another format than the engine would take it for.
  if (std::memcmp(head.data(), "GGUF", head.size()) == 0) {
    model_file::checkGguf(source);
    return Container::Gguf;
  }
  if (model_file::checkSafetensors(source)) return Container::Safetensors;
  if (std::memcmp(head.data(), "PK\x03\x04", head.size()) == 0) {
    model_file::checkTorchZip(source);
    return Container::TorchZip;
  }
  const bool pickle = head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
  if (!pickle) source.unsupported("its first bytes are of no known model format");
  model_file::checkTorchLegacy(source);
  return Container::TorchLegacy;
}

}  // namespace

Container checkModelFile(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return checkFile(path);
  // The parts that the engine looks for (init_from_diffusers_file); only the first is needed.
  constexpr std::array parts{"unet/diffusion_pytorch_model.safetensors",
                             "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
                             "text_encoder_2/model.safetensors"};
  bool needed = true;
  for (const char* part : parts) {
    const std::string file = (fs::path(path) / part).string();
    if (needed || fs::exists(file, error)) {
      model_file::Source source(file);
      if (!model_file::checkSafetensors(source)) source.corrupt("it is no safetensors file");
    }
    needed = false;
  }
  return Container::Diffusers;
}

bool hasExcessiveBlock(const std::string& name) {
  size_t start = 0;
  while (start <= name.size()) {
    size_t end = name.find('.', start);
    if (end == std::string::npos) end = name.size();
    const std::string part = name.substr(start, end - start);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    constexpr size_t digits = 4;
    if (number && (part.size() > digits || std::stoi(part) >= kMaxBlocks)) return true;
    start = end + 1;
  }
  return false;
}

}  // namespace nd
