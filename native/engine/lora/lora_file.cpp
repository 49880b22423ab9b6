#include "lora_file.h"

#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "codec.h"
#include "types.h"

namespace nd::lora {

std::string stampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
#if defined(__APPLE__)
  const auto& time = info.st_mtimespec;
#elif defined(_WIN32)
  struct {
    long long tv_sec, tv_nsec;
  } time{info.st_mtime, 0};
#else
  const auto& time = info.st_mtim;
#endif
  constexpr long long nanoseconds = 1'000'000'000;
  const long long modified = static_cast<long long>(time.tv_sec) * nanoseconds + time.tv_nsec;
  return std::to_string(info.st_size) + ":" + std::to_string(modified) + ":" + std::to_string(info.st_ino);
}

LoraFile::LoraFile(const FileSpec& spec) : id_(spec.id), path_(spec.path) {
  std::ifstream file(spec.path, std::ios::binary | std::ios::ate);
  if (!file) throw EngineError(ErrorCode::ModelNotFound, "The file " + spec.path + " cannot be read.");
  bytes_.resize(static_cast<size_t>(file.tellg()));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
  // Looked at after reading: what was identified is then what was read.
  if (!file || stampOf(spec.path) != spec.stamp)
    throw EngineError(ErrorCode::ModelCorrupt, "The file " + spec.path + " changed while it was read.");
}

size_t elements(const PartSpec& part) {
  size_t count = 1;
  for (const int64_t size : part.shape) count *= static_cast<size_t>(size);
  return count;
}

std::vector<float> LoraFile::floats(const PartSpec& part) const {
  const size_t count = elements(part);
  const size_t bytes = partBytes(part.dtype, count);
  if (part.offset > bytes_.size() || bytes > bytes_.size() - part.offset)
    throw EngineError(ErrorCode::ModelCorrupt, "A tensor lies outside the file " + path_ + ".");
  std::vector<float> values(count);
  partToFloat(part.dtype, bytes_.data() + part.offset, values.data(), count);
  return values;
}

std::vector<double> LoraFile::doubles(const PartSpec& part) const {
  const std::vector<float> values = floats(part);
  return {values.begin(), values.end()};
}

}  // namespace nd::lora
