#include "graph_list.h"

#include <cstdio>
#include <fstream>

#include "cache_file.h"

namespace nd::openvino {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".list";
constexpr size_t kMost = 64;

std::string textOf(const Id& id) {
  char text[40];
  std::snprintf(text, sizeof(text), "%016llx %016llx", static_cast<unsigned long long>(id.high),
                static_cast<unsigned long long>(id.low));
  return text;
}

// As another list, so that one which its process left behind goes as lists go. Whoever tidies up meanwhile
// takes those that were not used for longest, and this is new.
fs::path besides(const fs::path& path) {
  return path.parent_path() / (path.stem().string() + '.' + randomName() + kExtension);
}

}  // namespace

fs::path graphList(const fs::path& directory, const std::string& model, const Id& maker) {
  return directory / (model + '-' + textOf(maker).substr(0, 16) + kExtension);
}

bool isGraphList(const fs::path& path) { return path.extension() == kExtension; }

std::vector<Listed> readGraphList(const fs::path& path) {
  std::ifstream file(path);
  std::vector<Listed> graphs;
  Listed one;
  file >> std::hex;
  while (graphs.size() < kMost &&
         file >> one.network.high >> one.network.low >> one.graph.high >> one.graph.low)
    graphs.push_back(one);
  return graphs;
}

bool writeGraphList(const fs::path& path, const std::vector<Listed>& graphs) {
  const fs::path temporary = besides(path);
  std::error_code error;
  {
    std::ofstream file(temporary);
    for (const Listed& one : graphs) file << textOf(one.network) << ' ' << textOf(one.graph) << '\n';
    file.close();
    if (file) fs::rename(temporary, path, error);
    if (file && !error) return true;
  }
  fs::remove(temporary, error);
  return false;
}

}  // namespace nd::openvino
