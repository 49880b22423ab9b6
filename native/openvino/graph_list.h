// Which graphs a model used last, one small file per model beside the disk cache's graphs: of every network
// the one that it was last evaluated with, in the order of their first use. It only says what to read ahead,
// so a wrong one costs time and nothing else.
#pragma once

#include <filesystem>
#include <vector>

#include "hash.h"

namespace nd::openvino {

struct Listed {
  Id network;
  Id graph;
  bool operator==(const Listed&) const = default;
};

// Models, makers and settings have lists of their own.
std::filesystem::path graphList(const std::filesystem::path& directory, const std::string& model,
                                const Id& maker);
bool isGraphList(const std::filesystem::path& path);
// Empty where there is none; as far as it can be read.
std::vector<Listed> readGraphList(const std::filesystem::path& path);
// False where the disk takes it not.
bool writeGraphList(const std::filesystem::path& path, const std::vector<Listed>& graphs);

}  // namespace nd::openvino
