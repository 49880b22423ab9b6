// Which graphs a model used last, one small file per model beside the disk cache's graphs: their keys in the
// order of their first use. It only says what to read ahead, so a wrong one costs time and nothing else.
#pragma once

#include <filesystem>
#include <vector>

#include "hash.h"

namespace nd::openvino {

// Models and makers have lists of their own.
std::filesystem::path graphList(const std::filesystem::path& directory, const std::string& model,
                                const Id& maker);
bool isGraphList(const std::filesystem::path& path);
// Empty where there is none, or none that can be read.
std::vector<Id> readGraphList(const std::filesystem::path& path);
// False where the disk takes it not.
bool writeGraphList(const std::filesystem::path& path, const std::vector<Id>& keys);

}  // namespace nd::openvino
