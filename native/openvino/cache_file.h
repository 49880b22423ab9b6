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

// Throws CacheFileError unless it is whole, for this key, and of this maker.
CacheFile readCacheFile(const std::filesystem::path& path, const Id& key, const Id& maker);

// A file that is being written under another name; without commit() it is removed. All of it throws
// CacheFileError when the disk takes no more.
class CacheWriter {
 public:
  CacheWriter(const std::filesystem::path& path, const Id& key, const Id& maker);
  ~CacheWriter();
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  // Gives the bytes of what `write` has put into the stream, with the padding after it.
  uint64_t blob(const std::function<void(std::ostream&)>& write);
  void commit(const std::string& description);

 private:
  void check(const char* doing) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::fstream file_;
  CacheHeader header_{};
};

// Temporary files that a process left behind when it died.
bool isLeftBehind(const std::filesystem::path& path);

}  // namespace nd::openvino
