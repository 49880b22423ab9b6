#include "source_file.h"

#include <cerrno>
#include <fstream>

#include "types.h"

#if !defined(_WIN32)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace nd {

#if defined(_WIN32)
class SourceFile::Handle {
 public:
  explicit Handle(const std::string& path) : stream_(path, std::ios::binary) {}
  bool isOpen() const { return stream_.is_open(); }
  bool read(uint64_t offset, size_t bytes, char* to) {
    const std::lock_guard<std::mutex> lock(mutex_);
    stream_.seekg(static_cast<std::streamoff>(offset));
    stream_.read(to, static_cast<std::streamsize>(bytes));
    const bool whole = stream_.good();
    stream_.clear();
    return whole;
  }

 private:
  std::mutex mutex_;
  std::ifstream stream_;
};
#else
class SourceFile::Handle {
 public:
  explicit Handle(const std::string& path) : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Handle() {
    if (file_ >= 0) ::close(file_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  bool isOpen() const { return file_ >= 0; }
  bool read(uint64_t offset, size_t bytes, char* to) const {
    size_t done = 0;
    while (done < bytes) {
      const ssize_t count = pread(file_, to + done, bytes - done, static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      done += static_cast<size_t>(count);
    }
    return true;
  }

 private:
  int file_;
};
#endif

SourceFile::SourceFile(std::string path) : path_(std::move(path)) {}
SourceFile::~SourceFile() = default;

void SourceFile::throwChanged() const {
  throw EngineError(ErrorCode::ModelChanged,
                    "The file " + path_ + " can no longer be read as it was loaded.");
}

std::shared_ptr<SourceFile::Handle> SourceFile::handle() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!open_) {
    auto opened = std::make_shared<Handle>(path_);
    if (!opened->isOpen()) throwChanged();
    open_ = std::move(opened);
  }
  return open_;
}

void SourceFile::read(uint64_t offset, size_t bytes, void* to) {
  if (!handle()->read(offset, bytes, static_cast<char*>(to))) throwChanged();
}

void SourceFile::close() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_.reset();
}

}  // namespace nd
