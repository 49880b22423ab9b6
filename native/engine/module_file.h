// A backend module on disk, opened by the system's loader to be asked about itself. Closed when it dies; a
// module that ggml has loaded stays. Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace nd {

class ModuleFile {
 public:
  explicit ModuleFile(const std::filesystem::path& path);
  ~ModuleFile();
  ModuleFile(const ModuleFile&) = delete;
  ModuleFile& operator=(const ModuleFile&) = delete;

  // In the words of the system's loader; empty when it could be opened.
  const std::string& error() const { return error_; }
  // How well it fits this machine by its own judgement; 0: not at all, or it does not say.
  int score() const;

 private:
  void* handle_ = nullptr;
  std::string error_;
};

}  // namespace nd
