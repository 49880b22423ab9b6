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

}  // namespace

fs::path graphList(const fs::path& directory, const std::string& model, const Id& maker) {
  return directory / (model + '-' + textOf(maker).substr(0, 16) + kExtension);
}

bool isGraphList(const fs::path& path) { return path.extension() == kExtension; }

std::vector<Id> readGraphList(const fs::path& path) {
  std::ifstream file(path);
  std::vector<Id> keys;
  Id key;
  while (keys.size() < kMost && file >> std::hex >> key.high >> key.low) keys.push_back(key);
  return keys;
}

bool writeGraphList(const fs::path& path, const std::vector<Id>& keys) {
  const fs::path temporary = temporaryOf(path);
  std::error_code error;
  {
    std::ofstream file(temporary);
    for (const Id& key : keys) file << textOf(key) << '\n';
    file.close();
    if (file) fs::rename(temporary, path, error);
    if (file && !error) return true;
  }
  fs::remove(temporary, error);
  return false;
}

}  // namespace nd::openvino
