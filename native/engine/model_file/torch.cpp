// What torch.save writes: a ZIP archive of data.pkl and storages since PyTorch 1.6, before that five pickles
// and the storages one after the other.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "check.h"
#include "pickle.h"
#include "source.h"
#include "zip.h"

namespace nd::model_file {
namespace {

constexpr uint64_t maxPickle = 32U << 20;
// The engine looks through all entries for each tensor.
constexpr ssize_t maxEntries = 16'384;

struct CloseZip {
  void operator()(zip_t* zip) const { zip_close(zip); }
};

// An entry opened by its index, as the engine opens it.
class Entry {
 public:
  Entry(zip_t* zip, size_t index) : zip_(zip), opened_(zip_entry_openbyindex(zip, index) == 0) {}
  ~Entry() { zip_entry_close(zip_); }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  std::string name() const {
    const char* name = opened_ ? zip_entry_name(zip_) : nullptr;
    return name == nullptr ? std::string() : name;
  }
  bool opened() const { return opened_; }
  uint64_t size() const { return zip_entry_size(zip_); }
  bool compressed() const { return zip_entry_comp_size(zip_) != zip_entry_size(zip_); }
  std::vector<uint8_t> read() const {
    std::vector<uint8_t> bytes(size());
    const ssize_t got = zip_entry_noallocread(zip_, bytes.data(), bytes.size());
    if (got < 0) bytes.clear();
    return bytes;
  }

 private:
  zip_t* zip_;
  bool opened_;
};

}  // namespace

void checkTorchZip(Source& source) {
  const std::unique_ptr<zip_t, CloseZip> zip(zip_open(source.path().c_str(), 0, 'r'));
  if (zip == nullptr) source.corrupt("its ZIP directory is damaged");
  const ssize_t count = zip_entries_total(zip.get());
  if (count <= 0 || count > maxEntries) source.corrupt("its ZIP directory has no entries or too many");
  bool found = false;
  for (ssize_t i = 0; i < count; ++i) {
    const Entry entry(zip.get(), static_cast<size_t>(i));
    const std::string name = entry.name();
    if (!entry.opened() || name.empty()) source.corrupt("a ZIP entry is damaged");
    if (entry.size() > source.size() && name.find("data.pkl") == std::string::npos)
      source.corrupt("the ZIP entry " + quote(name) + " would unpack to more than the whole file");
    // The engine reads storages where they lie only when they are not compressed, as torch.save leaves them.
    if (entry.compressed()) source.unsupported("the ZIP entry " + quote(name) + " is compressed");
    if (name.find("data.pkl") == std::string::npos) continue;
    found = true;
    if (entry.size() > maxPickle) source.corrupt(quote(name) + " is longer than 32 MiB");
    const std::vector<uint8_t> pickle = entry.read();
    const PickleResult result = walkPickle(pickle.data(), pickle.size(), 0);
    if (!result.fault.empty()) source.corrupt("in " + quote(name) + " " + result.fault);
  }
  if (!found) source.unsupported("it is a ZIP archive without data.pkl");
}

void checkTorchLegacy(Source& source) {
  const std::vector<uint8_t> head = source.bytes(0, std::min(source.size(), maxPickle), "its pickles");
  constexpr int pickles = 5;  // magic number, version, system, state dictionary, storage keys
  size_t at = 0;
  int read = 0;
  // Without the first three it is a bare state dictionary and its keys.
  while (read < pickles && at < head.size() && head[at] == 0x80) {
    const PickleResult result = walkPickle(head.data(), head.size(), at);
    if (!result.fault.empty()) source.corrupt(result.fault);
    at = result.end;
    ++read;
  }
  if (read < 2) source.unsupported("it is a pickle, but no PyTorch checkpoint");
}

}  // namespace nd::model_file
