// A file of a checkpoint that is read again while its model lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace nd {

// Opened when it is first read and open until `close`: a change of weights reads thousands of blocks, and to
// open the file for each cost a fifth of the time. Read and not mapped: a file that is cut short under a
// mapping ends the process, and mapped pages count as memory. All functions may be called on several threads.
class SourceFile {
 public:
  explicit SourceFile(std::string path);
  ~SourceFile();
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;

  const std::string& path() const noexcept { return path_; }
  // Throws EngineError (ModelChanged) where the file is gone or shorter.
  void read(uint64_t offset, size_t bytes, void* to);
  // Reading that is under way goes on.
  void close() noexcept;

  // It can no longer be read as it was loaded.
  [[noreturn]] void throwChanged() const;

 private:
  class Handle;
  std::shared_ptr<Handle> handle();

  std::string path_;
  std::mutex mutex_;
  std::shared_ptr<Handle> open_;
};

}  // namespace nd
