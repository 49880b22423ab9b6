// What a model used last is read ahead from the disk cache: it is there when it is asked for, and whatever
// the list or the files say, results stay what they are.
#include <chrono>
#include <sstream>
#include <thread>

#include "openvino_disk.h"

namespace nd::test {
namespace {

constexpr const char* kModel = "model=00c0ffee";

// A backend that is told that its model's weights are about to be read.
struct Ahead : Cached {
  Ahead(const std::string& modules, const fs::path& directory, const std::string& more = "")
      : Cached(modules, directory, kModel + ('\n' + more)) {
    ggml_backend_reg_t owner = ggml_backend_reg_by_name("OpenVINO");
    const auto begin = reinterpret_cast<void (*)(ggml_backend_t)>(
        ggml_backend_reg_get_proc_address(owner, "ggml_backend_openvino_read_ahead"));
    CHECK(begin != nullptr);
    begin(openvino.get());
  }
};

std::vector<fs::path> lists(const Folder& folder) {
  std::vector<fs::path> found;
  for (const fs::path& file : folder.files())
    if (file.extension() == ".list") found.push_back(file);
  return found;
}

size_t lines(const fs::path& file) {
  const std::string text = contentOf(file);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Until the thread has read what the list names. A file's time is set when it has been read.
void waitForThread(const Folder& folder, fs::file_time_type since) {
  std::istringstream list(contentOf(lists(folder).front()));
  for (std::string high, low; list >> high >> low;) {
    for (const fs::path& file : folder.files()) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (file.filename().string().rfind(high + low, 0) == 0 && fs::last_write_time(file) < since &&
             std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

// Two networks of one model, in a process that was started anew each time.
struct Pictures {
  std::vector<float> first;
  std::vector<float> second;
  bool operator==(const Pictures&) const = default;
};

Pictures draw(const Ahead& ahead, int64_t rows) {
  ahead.forgetMemory();
  Layer one(ahead, 8, 1);
  Layer two(ahead, rows, 2);
  Pictures pictures;
  pictures.first = compute(one);
  pictures.second = compute(two);
  return pictures;
}

void readsWhatWasUsed(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-");
  Pictures wanted;
  {
    const Ahead ahead(modules, folder.path);
    wanted = draw(ahead, 9);
    CHECK(ahead.since("compilations") == 2 && ahead.since("readAhead") == 0);
    CHECK(lists(folder).size() == 1 && lines(lists(folder).front()) == 2 && folder.files().size() == 3);
  }
  // Whether it has been read when it is asked for, is being read, or waits behind another.
  for (const int pause : {0, 1, 5, -1}) {
    const auto start = fs::file_time_type::clock::now();
    const Ahead ahead(modules, folder.path);
    if (pause < 0) waitForThread(folder, start);
    std::this_thread::sleep_for(std::chrono::milliseconds(std::max(pause, 0)));
    CHECK(draw(ahead, 9) == wanted);
    CHECK(ahead.since("compilations") == 0 && ahead.since("diskHits") == 2);
    if (pause < 0) CHECK(ahead.since("readAhead") == 2);
    // Once only: the same model again has it from the disk.
    ahead.forgetMemory();
    CHECK(draw(ahead, 9) == wanted);
    CHECK(ahead.since("diskHits") == 4 && ahead.since("readAhead") <= 2);
  }
}

// The list names for each network the size that was used last, so another one is not read ahead and comes
// right.
void followsTheSize(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-size-");
  const auto run = [&](int64_t rows) {
    const auto start = fs::file_time_type::clock::now();
    const Ahead ahead(modules, folder.path);
    if (!lists(folder).empty()) waitForThread(folder, start);
    const Pictures pictures = draw(ahead, rows);
    return std::pair(pictures, ahead.since("readAhead"));
  };
  const Pictures small = run(9).first;
  const auto [large, known] = run(10);
  CHECK(known == 1 && large.first == small.first && large.second.size() > small.second.size());
  CHECK(lines(lists(folder).front()) == 2);
  CHECK(run(10) == std::pair(large, 2));
  CHECK(run(9) == std::pair(small, 1));
  CHECK(run(9) == std::pair(small, 2));
}

// Weights that have changed meanwhile: the graph that was read ahead is not theirs.
void otherContent(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-content-");
  {
    const Ahead ahead(modules, folder.path);
    draw(ahead, 9);
  }
  const Ahead ahead(modules, folder.path);
  Layer changed(ahead, 9, 3);
  const Cached plain(modules, folder.path);
  Layer same(plain, 9, 3);
  CHECK(compute(changed) == compute(same));
  CHECK(ahead.since("readAhead") == 0);
}

// Lists and files of every kind of damage.
void damaged(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-damaged-");
  Pictures wanted;
  {
    const Ahead ahead(modules, folder.path);
    wanted = draw(ahead, 9);
  }
  const fs::path list = lists(folder).front();
  const std::string good = contentOf(list);
  const std::string far = "ffffffffffffffff ffffffffffffffff\n";
  for (const std::string& text :
       {std::string(), std::string("nonsense"), std::string("1 2 3"), far, far + good, good + good,
        good.substr(0, good.size() / 3), std::string(1 << 20, 'f')}) {
    writeContent(list, text);
    const Ahead ahead(modules, folder.path);
    CHECK(draw(ahead, 9) == wanted);
    CHECK(ahead.since("compilations") == 0 && ahead.since("diskFailures") == 0);
  }
  writeContent(list, good);
  for (const fs::path& file : folder.files()) {
    if (file == list) continue;
    std::string content = contentOf(file);
    content[content.size() / 2] ^= 1;
    writeContent(file, content);
  }
  const Ahead ahead(modules, folder.path);
  CHECK(draw(ahead, 9) == wanted);
  CHECK(ahead.since("compilations") == 2 && ahead.since("diskFailures") == 2 &&
        ahead.since("diskWrites") == 2);
  CHECK(ahead.since("readAhead") == 0);
}

// A model that goes while its graphs are read, as after a load that fails, and two backends of one model.
void goes(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-goes-");
  Pictures wanted;
  {
    const Ahead ahead(modules, folder.path);
    wanted = draw(ahead, 9);
  }
  for (int turn = 0; turn < 20; ++turn) {
    const Ahead ahead(modules, folder.path);
    std::this_thread::sleep_for(std::chrono::milliseconds(turn / 4));
  }
  const auto start = fs::file_time_type::clock::now();
  const Ahead first(modules, folder.path);
  { const Ahead second(modules, folder.path); }
  waitForThread(folder, start);
  CHECK(draw(first, 9) == wanted);
  CHECK(first.since("readAhead") == 2);
}

// Nothing is read ahead that has no room among what is kept.
void bounds(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-bounds-");
  const auto run = [&](const std::string& more, bool reads) {
    const auto start = fs::file_time_type::clock::now();
    const Ahead ahead(modules, folder.path, more);
    if (reads) waitForThread(folder, start);
    draw(ahead, 9);
    return ahead.since("readAhead");
  };
  CHECK(run("", false) == 0);
  CHECK(run("cacheBytes=1000", false) == 0);
  CHECK(run("", true) == 2);
  // What is not asked for in time is let go.
  CHECK(run("aheadSeconds=0", true) == 1);
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  const std::string modules = count > 1 ? arguments[1] : ".";
  if (!Backends(modules).openvino) return 1;
  readsWhatWasUsed(modules);
  followsTheSize(modules);
  otherContent(modules);
  damaged(modules);
  goes(modules);
  bounds(modules);
  return report();
}
