// The format of one file of the disk cache: a header, blobs as OpenVINO exports them one after the other, and
// a description of the program around them.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>

#include "hash.h"
#include "openvino/openvino.hpp"

namespace nd::openvino {

// Why a file is not used, or could not be written.
struct CacheFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CacheHeader {
  char magic[8];
  uint64_t format;
  Id maker;  // of the build of this module, OpenVINO's version and the processor
  Id key;
  uint64_t blobBytes;
  uint64_t descriptionBytes;
  Id body;  // hash of blobs and description
  Id self;  // hash of all before it
};

struct CacheFile {
  ov::Tensor blobs;
  std::string description;
};

// Throws CacheFileError unless it is whole, for this key, and of this maker. `check` is called now and then,
// and may throw.
CacheFile readCacheFile(const std::filesystem::path& path, const Id& key, const Id& maker,
                        const std::function<void()>& check);

// A file that is being written under another name, which nobody else has, and is locked; without commit() it
// is removed. All of it throws CacheFileError when the disk takes no more.
class CacheWriter {
 public:
  CacheWriter(std::filesystem::path path, const Id& key, const Id& maker);
  ~CacheWriter();
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  // Gives the bytes of what `write` has put into the stream, with the padding after it.
  uint64_t blob(const std::function<void(std::ostream&)>& write);
  // Calls `check` now and then, which may throw.
  void commit(const std::string& description, const std::function<void()>& check);

 private:
  void create();
  void release();
  void checkFile(const char* doing) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int lock_ = -1;  // descriptor of the temporary file
  std::fstream file_;
  CacheHeader header_{};
};

// Nobody else has it: process ids repeat between containers that share a directory.
std::string randomName();
// A file that is being written, or was when its process died.
bool isTemporary(const std::filesystem::path& path);
// Removes a temporary file unless somebody writes it: then it is locked, in whichever process or container.
// True when it is gone.
bool removeLeftBehind(const std::filesystem::path& path);

}  // namespace nd::openvino
