#include "module_file.h"

#ifdef _WIN32
#include <windows.h>

#include <system_error>
#else
#include <dlfcn.h>
#endif

namespace nd {
namespace {

using ScoreFunction = int (*)();
constexpr const char* kScore = "ggml_backend_score";

}  // namespace

#ifdef _WIN32

ModuleFile::ModuleFile(const std::filesystem::path& path) {
  // What lies beside the module is found; a dialog for a missing library would stop the process.
  const DWORD before = SetErrorMode(SEM_FAILCRITICALERRORS);
  handle_ = LoadLibraryExW(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (handle_ == nullptr) error_ = std::system_category().message(static_cast<int>(GetLastError()));
  SetErrorMode(before);
}

ModuleFile::~ModuleFile() {
  if (handle_ != nullptr) FreeLibrary(static_cast<HMODULE>(handle_));
}

int ModuleFile::score() const {
  if (handle_ == nullptr) return 0;
  const auto found = GetProcAddress(static_cast<HMODULE>(handle_), kScore);
  const auto function = reinterpret_cast<ScoreFunction>(reinterpret_cast<void*>(found));
  return function == nullptr ? 0 : function();
}

#else

ModuleFile::ModuleFile(const std::filesystem::path& path)
    : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  const char* text = dlerror();
  error_ = text == nullptr ? "the system's loader refuses it" : text;
}

ModuleFile::~ModuleFile() {
  if (handle_ != nullptr) dlclose(handle_);
}

int ModuleFile::score() const {
  if (handle_ == nullptr) return 0;
  const auto function = reinterpret_cast<ScoreFunction>(dlsym(handle_, kScore));
  return function == nullptr ? 0 : function();
}

#endif

}  // namespace nd
