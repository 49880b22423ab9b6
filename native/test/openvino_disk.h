// A small network, a backend with a disk cache, and the folder of one, for the tests of the disk cache.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "check.h"
#include "openvino_net.h"

namespace nd::test {

namespace fs = std::filesystem;

struct Layer {
  Net net;
  ggml_tensor* weight;
  Layer(const Backends& backends, int64_t rows, uint64_t seed = 7, int64_t width = 32)
      : net(backends.openvino.get(), false, seed) {
    ggml_tensor* x = net.input({64, rows});
    weight = net.weight(GGML_TYPE_F16, {64, width}, 0.1F);
    ggml_tensor* other = net.input({64, rows});
    ggml_tensor* y = ggml_silu(net.ctx(), ggml_mul_mat(net.ctx(), weight, ggml_sub(net.ctx(), x, other)));
    net.build({ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {width, 16}), y), y});
  }
};

// A backend with a disk cache, and what it has done since it was made.
struct Cached : Backends {
  Cached(const std::string& modules, const fs::path& directory, const std::string& more = "")
      : Backends(modules, ("diskCache=" + directory.string() + '\n' + more).c_str()) {
    clear = procedure<void (*)()>("ggml_backend_openvino_clear");
    for (const char* name :
         {"compilations", "diskHits", "diskWrites", "diskFailures", "readAhead", "aheadEnded"})
      before_[name] = figure(name);
  }
  int since(const std::string& name) const { return static_cast<int>(figure(name) - before_.at(name)); }
  // As a process that was started anew.
  void forgetMemory() const { clear(); }

 private:
  void (*clear)();
  std::map<std::string, double> before_;
};

struct Folder {
  fs::path path;
  explicit Folder(const char* name)
      : path(fs::temp_directory_path() / (std::string(name) + std::to_string(getpid()))) {
    fs::remove_all(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (fs::exists(path))
      for (const auto& entry : fs::directory_iterator(path)) found.push_back(entry.path());
    return found;
  }
};

inline std::vector<float> compute(Layer& layer) {
  CHECK(layer.net.compute() == GGML_STATUS_SUCCESS);
  std::vector<float> values = layer.net.read(0);
  const std::vector<float> second = layer.net.read(1);
  values.insert(values.end(), second.begin(), second.end());
  return values;
}

inline std::string contentOf(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void writeContent(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

// The tests of a program whose first argument is the modules' folder.
inline int runTests(int count, char** arguments,
                    std::initializer_list<void (*)(const std::string& modules)> tests) {
  const std::string modules = count > 1 ? arguments[1] : ".";
  if (!Backends(modules).openvino) return 1;
  for (const auto test : tests) test(modules);
  return report();
}

}  // namespace nd::test
