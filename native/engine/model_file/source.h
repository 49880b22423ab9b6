// A model file being checked: bounded reads by position, and the errors that name it.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "types.h"

namespace nd::model_file {

class Source {
 public:
  explicit Source(std::string path);  // throws ModelNotFound, ModelCorrupt for what is no regular file

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  // Exactly `length` bytes; ModelCorrupt where the file ends before.
  void read(uint64_t offset, void* target, uint64_t length, const char* what);
  std::vector<uint8_t> bytes(uint64_t offset, uint64_t length, const char* what);

  [[noreturn]] void corrupt(const std::string& what) const;
  [[noreturn]] void unsupported(const std::string& what) const;

 private:
  std::string path_;
  std::ifstream file_;
  uint64_t size_ = 0;
};

// Reads numbers and strings one after the other through a window. Little endian.
class Cursor {
 public:
  Cursor(Source& source, uint64_t position) : source_(source), position_(position) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return source_.size() - position_; }
  uint32_t u32(const char* what) { return static_cast<uint32_t>(number(4, what)); }
  uint64_t u64(const char* what) { return number(8, what); }
  std::string text(uint64_t limit, const char* what);
  void skip(uint64_t length, const char* what);

 private:
  uint64_t number(unsigned bytes, const char* what);
  const uint8_t* take(uint64_t length, const char* what);

  Source& source_;
  uint64_t position_;
  uint64_t windowStart_ = 0;
  std::vector<uint8_t> window_;
};

// A name from a file for a message: short, on one line.
std::string quote(const std::string& name);
// Product of the axes, none below 1, or -1 when it is larger than any file.
int64_t elementCount(const std::vector<int64_t>& shape);

void checkGguf(Source& source);
// False when the file is no safetensors file, for the engine neither.
bool checkSafetensors(Source& source);
void checkTorchZip(Source& source);
void checkTorchLegacy(Source& source);

}  // namespace nd::model_file
