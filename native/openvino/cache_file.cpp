#include "cache_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <vector>

#if defined(__linux__)
#include <signal.h>
#include <unistd.h>
#endif

namespace nd::openvino {
namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'n', 'd', '-', 'g', 'r', 'a', 'p', 'h'};
constexpr uint64_t kFormat = 1;
constexpr size_t kPiece = size_t{1} << 20;
constexpr uint64_t kAlignment = 64;  // of blobs, whose constants OpenVINO reads where they are
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

fs::path temporaryOf(const fs::path& path) {
  static std::atomic<int> count{0};
  long process = 0;
#if defined(__linux__)
  process = getpid();
#endif
  return path.string() + kTemporary + std::to_string(process) + '-' + std::to_string(count.fetch_add(1));
}

}  // namespace

CacheFile readCacheFile(const fs::path& path, const Id& key, const Id& maker) {
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
  CacheFile content{ov::Tensor(ov::element::u8, {header.blobBytes}),
                    std::string(header.descriptionBytes, ' ')};
  auto* blobs = static_cast<char*>(content.blobs.data());
  file.read(blobs, static_cast<std::streamsize>(header.blobBytes));
  file.read(content.description.data(), static_cast<std::streamsize>(header.descriptionBytes));
  if (!file) throw CacheFileError("it cannot be read: " + lastError());
  BodyHash hash;
  hash.add(blobs, header.blobBytes);
  hash.add(content.description.data(), content.description.size());
  if (hash.finish() != header.body) throw CacheFileError("its content is damaged");
  return content;
}

CacheWriter::CacheWriter(const fs::path& path, const Id& key, const Id& maker)
    : path_(path), temporary_(temporaryOf(path)) {
  errno = 0;
  file_.open(temporary_, std::ios::binary | std::ios::in | std::ios::out | std::ios::trunc);
  check("opened");
  std::memcpy(header_.magic, kMagic, sizeof(kMagic));
  header_.format = kFormat;
  header_.key = key;
  header_.maker = maker;
  file_.write(reinterpret_cast<const char*>(&header_), sizeof(header_));
}

CacheWriter::~CacheWriter() {
  if (temporary_.empty()) return;
  file_.close();
  std::error_code ignored;
  fs::remove(temporary_, ignored);
}

void CacheWriter::check(const char* doing) const {
  if (!file_) throw CacheFileError(temporary_.string() + " cannot be " + doing + ": " + lastError());
}

uint64_t CacheWriter::blob(const std::function<void(std::ostream&)>& write) {
  errno = 0;
  const auto start = file_.tellp();
  write(file_);
  file_.flush();
  check("written");
  file_.seekp(0, std::ios::end);
  const auto bytes = static_cast<uint64_t>(file_.tellp() - start);
  const std::string padding((kAlignment - bytes % kAlignment) % kAlignment, '\0');
  file_.write(padding.data(), static_cast<std::streamsize>(padding.size()));
  header_.blobBytes += bytes + padding.size();
  return bytes + padding.size();
}

void CacheWriter::commit(const std::string& description) {
  errno = 0;
  file_.write(description.data(), static_cast<std::streamsize>(description.size()));
  header_.descriptionBytes = description.size();
  file_.flush();
  check("written");
  // What OpenVINO has written it may have written out of order, so the hash is taken of what arrived.
  BodyHash hash;
  std::vector<char> piece(kPiece);
  file_.seekg(sizeof(header_));
  for (uint64_t left = header_.blobBytes + description.size(); left > 0 && file_;) {
    file_.read(piece.data(), static_cast<std::streamsize>(std::min<uint64_t>(left, kPiece)));
    hash.add(piece.data(), static_cast<size_t>(file_.gcount()));
    left -= static_cast<uint64_t>(file_.gcount());
  }
  check("read again");
  header_.body = hash.finish();
  header_.self = hashOf(header_);
  file_.seekp(0);
  file_.write(reinterpret_cast<const char*>(&header_), sizeof(header_));
  file_.close();
  check("written");
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) throw CacheFileError(path_.string() + " cannot be made: " + error.message());
  temporary_.clear();
}

bool isLeftBehind(const fs::path& path) {
#if defined(__linux__)
  const std::string name = path.filename().string();
  const size_t at = name.find(kTemporary);
  if (at == std::string::npos) return false;
  const long process = std::strtol(name.c_str() + at + std::strlen(kTemporary), nullptr, 10);
  return process > 0 && kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
#else
  return false;
#endif
}

}  // namespace nd::openvino
