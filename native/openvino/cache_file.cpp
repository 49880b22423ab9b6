#include "cache_file.h"

#include <algorithm>
#include <cerrno>
#include <random>
#include <system_error>
#include <vector>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace nd::openvino {
namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'n', 'd', '-', 'g', 'r', 'a', 'p', 'h'};
constexpr uint64_t kFormat = 2;
constexpr size_t kPiece = size_t{1} << 20;
constexpr uint64_t kLarge = uint64_t{4} << 20;  // from here on memory is taken from the system at once
constexpr uint64_t kAlignment = 64;             // of blobs, whose constants OpenVINO reads where they are
constexpr const char* kTemporary = ".part-";

std::string lastError() { return std::generic_category().message(errno); }

Id hashOf(const CacheHeader& header) {
  Hasher hasher;
  hasher.add(&header, offsetof(CacheHeader, self));
  return hasher.finish();
}

// The body is hashed in pieces of one size, wherever its parts begin.
class BodyHash {
 public:
  void add(const char* data, size_t bytes) {
    while (bytes > 0) {
      if (held_.empty() && bytes >= kPiece) {
        hasher_.add(data, kPiece);
        data += kPiece;
        bytes -= kPiece;
        continue;
      }
      const size_t taken = std::min(bytes, kPiece - held_.size());
      held_.insert(held_.end(), data, data + taken);
      data += taken;
      bytes -= taken;
      if (held_.size() == kPiece) flush();
    }
  }
  Id finish() {
    flush();
    return hasher_.finish();
  }

 private:
  void flush() {
    hasher_.add(held_.data(), held_.size());
    held_.clear();
  }
  Hasher hasher_;
  std::vector<char> held_;
};

#if defined(__linux__)

// Memory of a file's size, taken from the system at once: page by page costs as much as reading the file. It
// goes back with the last constant that lies in it.
struct WholeMemory {
  static void* allocate(size_t bytes, size_t /*alignment*/) {
    void* at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return at;
  }
  static void deallocate(void* at, size_t bytes, size_t /*alignment*/) noexcept { munmap(at, bytes); }
  static bool is_equal(const WholeMemory& /*other*/) { return true; }
};

ov::Tensor memoryFor(uint64_t bytes) {
  if (bytes < kLarge) return {ov::element::u8, {bytes}};
  return {ov::element::u8, {bytes}, ov::Allocator(WholeMemory())};
}

#else

ov::Tensor memoryFor(uint64_t bytes) { return {ov::element::u8, {bytes}}; }

#endif

fs::path temporaryOf(const fs::path& path) { return path.string() + kTemporary + randomName(); }

#if defined(__linux__)

bool lock(int file, int how) {
  int result = -1;
  do result = flock(file, how);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

bool isLinked(int file) {
  struct stat found {};
  return fstat(file, &found) == 0 && found.st_nlink > 0;
}

#endif

}  // namespace

std::string randomName() {
  std::random_device random;
  char text[20];
  std::snprintf(text, sizeof(text), "%08x%08x", random(), random());
  return text;
}

CacheFile readCacheFile(const fs::path& path, const Id& key, const Id& maker,
                        const std::function<void()>& check) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw CacheFileError("it cannot be opened: " + lastError());
  CacheHeader header{};
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  if (!file || std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.self != hashOf(header))
    throw CacheFileError("its header is damaged");
  if (header.format != kFormat || header.maker != maker)
    throw CacheFileError("another version of this backend or of OpenVINO, or another processor, made it");
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (header.key != key || error || size != sizeof(header) + header.blobBytes + header.descriptionBytes)
    throw CacheFileError("it is not whole");
  CacheFile content{memoryFor(header.blobBytes), std::string(header.descriptionBytes, ' ')};
  auto* blobs = static_cast<char*>(content.blobs.data());
  BodyHash hash;
  // A piece is hashed while it is still in the processor's cache.
  for (uint64_t at = 0; at < header.blobBytes && file; at += kPiece) {
    const uint64_t bytes = std::min<uint64_t>(header.blobBytes - at, kPiece);
    check();
    file.read(blobs + at, static_cast<std::streamsize>(bytes));
    hash.add(blobs + at, bytes);
  }
  file.read(content.description.data(), static_cast<std::streamsize>(header.descriptionBytes));
  if (!file) throw CacheFileError("it cannot be read: " + lastError());
  hash.add(content.description.data(), content.description.size());
  if (hash.finish() != header.body) throw CacheFileError("its content is damaged");
  return content;
}

CacheWriter::CacheWriter(fs::path path, const Id& key, const Id& maker) : path_(std::move(path)) {
  create();
  std::memcpy(header_.magic, kMagic, sizeof(kMagic));
  header_.format = kFormat;
  header_.key = key;
  header_.maker = maker;
  file_.write(reinterpret_cast<const char*>(&header_), sizeof(header_));
}

// Whoever tidies up may take the lock between the making of the file and its locking, and remove it.
void CacheWriter::create() {
#if defined(__linux__)
  for (int attempt = 0; attempt < 10 && lock_ < 0; ++attempt) {
    const fs::path temporary = temporaryOf(path_);
    const int file = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno != EEXIST)
      throw CacheFileError(temporary.string() + " cannot be opened: " + lastError());
    if (file < 0) continue;
    lock(file, LOCK_EX);  // where a file system has no locks nobody gets one, and files are left alone
    if (isLinked(file)) {
      lock_ = file;
      temporary_ = temporary;
    } else {
      close(file);
    }
  }
  if (lock_ < 0) throw CacheFileError("no temporary file can be made for " + path_.string());
  errno = 0;
  file_.open(temporary_, std::ios::binary | std::ios::in | std::ios::out);
#else
  temporary_ = temporaryOf(path_);
  errno = 0;
  file_.open(temporary_, std::ios::binary | std::ios::in | std::ios::out | std::ios::trunc);
#endif
  if (file_) return;
  const std::string why = lastError();
  release();
  throw CacheFileError(path_.string() + " cannot be written: " + why);
}

CacheWriter::~CacheWriter() { release(); }

void CacheWriter::release() {
  if (!temporary_.empty()) {
    file_.close();
    std::error_code ignored;
    fs::remove(temporary_, ignored);
    temporary_.clear();
  }
#if defined(__linux__)
  if (lock_ >= 0) close(lock_);
  lock_ = -1;
#endif
}

void CacheWriter::checkFile(const char* doing) const {
  if (!file_) throw CacheFileError(temporary_.string() + " cannot be " + doing + ": " + lastError());
}

uint64_t CacheWriter::blob(const std::function<void(std::ostream&)>& write) {
  errno = 0;
  const auto start = file_.tellp();
  write(file_);
  file_.flush();
  checkFile("written");
  file_.seekp(0, std::ios::end);
  const auto bytes = static_cast<uint64_t>(file_.tellp() - start);
  const std::string padding((kAlignment - bytes % kAlignment) % kAlignment, '\0');
  file_.write(padding.data(), static_cast<std::streamsize>(padding.size()));
  header_.blobBytes += bytes + padding.size();
  return bytes + padding.size();
}

void CacheWriter::commit(const std::string& description, const std::function<void()>& check) {
  errno = 0;
  file_.write(description.data(), static_cast<std::streamsize>(description.size()));
  header_.descriptionBytes = description.size();
  file_.flush();
  checkFile("written");
  // What OpenVINO has written it may have written out of order, so the hash is taken of what arrived.
  BodyHash hash;
  std::vector<char> piece(kPiece);
  file_.seekg(sizeof(header_));
  for (uint64_t left = header_.blobBytes + description.size(); left > 0 && file_;) {
    file_.read(piece.data(), static_cast<std::streamsize>(std::min<uint64_t>(left, kPiece)));
    check();
    hash.add(piece.data(), static_cast<size_t>(file_.gcount()));
    left -= static_cast<uint64_t>(file_.gcount());
  }
  checkFile("read again");
  header_.body = hash.finish();
  header_.self = hashOf(header_);
  file_.seekp(0);
  file_.write(reinterpret_cast<const char*>(&header_), sizeof(header_));
  file_.close();
  checkFile("written");
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) throw CacheFileError(path_.string() + " cannot be made: " + error.message());
  temporary_.clear();
}

bool isTemporary(const fs::path& path) {
  return path.filename().string().find(kTemporary) != std::string::npos;
}

bool removeLeftBehind(const fs::path& path) {
#if defined(__linux__)
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return errno == ENOENT;
  bool gone = false;
  if (lock(file, LOCK_EX | LOCK_NB)) {
    std::error_code error;
    fs::remove(path, error);
    gone = !fs::exists(path, error);
  }
  close(file);
  return gone;
#else
  return false;
#endif
}

}  // namespace nd::openvino
