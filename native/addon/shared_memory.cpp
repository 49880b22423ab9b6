#include "shared_memory.h"

#if defined(__linux__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#endif
#if defined(__APPLE__)
#include <string>
#endif

namespace nd::addon {

#if defined(__linux__) || defined(__APPLE__)

namespace {

// A descriptor of memory without a name that no program started by others inherits; -1 when there is none.
int anonymous() {
#if defined(__linux__)
  return memfd_create("node-diffusion", MFD_CLOEXEC | MFD_ALLOW_SEALING);
#else
  // The name lives for the time between two calls, and only to be taken away.
  const std::string name = "/nd-" + std::to_string(getpid()) + "-" + std::to_string(arc4random());
  const int descriptor = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (descriptor < 0) return -1;
  shm_unlink(name.c_str());
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return descriptor;
#endif
}

bool setSize(int descriptor, size_t bytes) {
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) return false;
#if defined(__linux__)
  // Neither side can make it shorter under the other, which would be a fault there.
  fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
#endif
  return true;
}

}  // namespace

std::unique_ptr<SharedMemory> SharedMemory::create(size_t bytes) {
  const int descriptor = anonymous();
  if (descriptor < 0) return nullptr;
  if (setSize(descriptor, bytes)) return open(descriptor, bytes);
  ::close(descriptor);
  return nullptr;
}

std::unique_ptr<SharedMemory> SharedMemory::open(int descriptor, size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) {
    ::close(descriptor);
    return nullptr;
  }
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return std::unique_ptr<SharedMemory>(new SharedMemory(descriptor, static_cast<uint8_t*>(data), bytes));
}

SharedMemory::~SharedMemory() {
  munmap(data_, size_);
  ::close(descriptor_);
}

void SharedMemory::trim(size_t offset, size_t length) {
#if defined(__linux__)
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = (offset + length) / page * page;
  if (begin < end) madvise(data_ + begin, end - begin, MADV_REMOVE);
#else
  static_cast<void>(offset);
  static_cast<void>(length);
#endif
}

#else

std::unique_ptr<SharedMemory> SharedMemory::create(size_t /*bytes*/) { return nullptr; }
std::unique_ptr<SharedMemory> SharedMemory::open(int /*descriptor*/, size_t /*bytes*/) { return nullptr; }
SharedMemory::~SharedMemory() = default;
void SharedMemory::trim(size_t /*offset*/, size_t /*length*/) {}

#endif

}  // namespace nd::addon
