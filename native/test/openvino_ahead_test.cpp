// What a model used last is read ahead from the disk cache: it is there when it is asked for, and whatever
// the list or the files say, results stay what they are.
#include <chrono>
#include <thread>

#include "openvino_disk.h"

namespace nd::test {
namespace {

constexpr const char* kModel = "model=00c0ffee";

// A backend that is told that its model's weights are about to be read.
struct Ahead : Cached {
  Ahead(const std::string& modules, const fs::path& directory, const std::string& more = "")
      : Cached(modules, directory, kModel + ("\naheadBytes=1000000000\n" + more)) {
    const auto begin = procedure<void (*)(ggml_backend_t)>("ggml_backend_openvino_read_ahead");
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

// Until the thread has read so many graphs; false where it does not come to it.
bool ended(const Ahead& ahead, int readings) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (ahead.since("aheadEnded") < readings && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return ahead.since("aheadEnded") == readings;
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
  Layer two(ahead, rows, 2, 48);
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
    const Ahead ahead(modules, folder.path);
    if (pause < 0) CHECK(ended(ahead, 2));
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
// right. A network that a process has not used stays on it.
void followsTheSize(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-size-");
  const auto run = [&](int64_t rows, int known) {
    const Ahead ahead(modules, folder.path);
    CHECK(ended(ahead, known));
    const Pictures pictures = draw(ahead, rows);
    return std::pair(pictures, ahead.since("readAhead"));
  };
  const Pictures small = run(9, 0).first;
  const auto [large, found] = run(10, 2);
  CHECK(found == 1 && large.first == small.first && large.second.size() > small.second.size());
  CHECK(lines(lists(folder).front()) == 2 && lists(folder).size() == 1);
  CHECK(run(10, 2) == std::pair(large, 2));
  CHECK(run(9, 2) == std::pair(small, 1));
  {
    const Ahead ahead(modules, folder.path);
    Layer one(ahead, 8, 1);
    CHECK(compute(one) == small.first);
  }
  CHECK(run(9, 2) == std::pair(small, 2));
}

// Weights that have changed meanwhile: the graph that was read ahead is not theirs.
void otherContent(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-content-");
  {
    const Ahead ahead(modules, folder.path);
    draw(ahead, 9);
  }
  const Ahead ahead(modules, folder.path);
  CHECK(ended(ahead, 2));
  Layer changed(ahead, 9, 3, 48);
  const Cached plain(modules, folder.path);
  Layer same(plain, 9, 3, 48);
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
  const std::string far = "1 2 ffffffffffffffff ffffffffffffffff\n";
  const std::string first = good.substr(0, good.find('\n') + 1);
  const std::vector<std::pair<std::string, int>> texts{
      {"", 0},         {"nonsense", 0},  {"1 2 3", 0},       {far, 0},
      {far + good, 2}, {good + good, 2}, {first + "x y", 1}, {std::string(1 << 20, 'f'), 0}};
  for (const auto& [text, readings] : texts) {
    writeContent(list, text);
    const Ahead ahead(modules, folder.path);
    CHECK(ended(ahead, readings));
    CHECK(draw(ahead, 9) == wanted);
    CHECK(ahead.since("readAhead") == readings);
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
  CHECK(ended(ahead, 2));
  CHECK(draw(ahead, 9) == wanted);
  CHECK(ahead.since("compilations") == 2 && ahead.since("diskFailures") == 2 &&
        ahead.since("diskWrites") == 2);
  CHECK(ahead.since("readAhead") == 0);
}

// Networks without end, as where shapes of LoRAs change: the list keeps the last ones.
void manyNetworks(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-many-");
  const Ahead ahead(modules, folder.path);
  for (int64_t columns = 1; columns <= 20; ++columns) {
    Net net(ahead.openvino.get(), false, 1);
    net.build({ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {32, columns}), net.input({32, 3}))});
    CHECK(net.compute() == GGML_STATUS_SUCCESS);
  }
  CHECK(lines(lists(folder).front()) == 16);
}

// Two sizes of one network take turns: the disk is not written each time, and the last one is on the list.
void takesTurns(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-turns-");
  std::string first;
  {
    const Ahead ahead(modules, folder.path);
    Layer small(ahead, 8, 1);
    Layer large(ahead, 9, 1);
    compute(small);
    first = contentOf(lists(folder).front());
    for (int turn = 0; turn < 10; ++turn) {
      compute(large);
      CHECK(contentOf(lists(folder).front()) == first);
      compute(turn < 9 ? small : large);
    }
  }
  CHECK(contentOf(lists(folder).front()) != first && lines(lists(folder).front()) == 1);
}

// A model that goes while its graphs are read, as after a load that fails, and two backends of one model.
void goes(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-goes-");
  Pictures wanted;
  {
    const Ahead ahead(modules, folder.path);
    wanted = draw(ahead, 9);
  }
  const auto stop = procedure<void (*)()>("ggml_backend_openvino_stop");
  CHECK(stop != nullptr);
  for (int turn = 0; turn < 20; ++turn) {
    const Ahead ahead(modules, folder.path);
    std::this_thread::sleep_for(std::chrono::milliseconds(turn / 4));
    if (turn % 2 == 0) stop();
  }
  const Ahead first(modules, folder.path);
  { const Ahead second(modules, folder.path); }
  CHECK(ended(first, 2));
  CHECK(draw(first, 9) == wanted);
  CHECK(first.since("readAhead") == 2);
}

// As when Node ends: threads stop, what they have read goes, and the list is on the disk.
void stops(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-stops-");
  const auto stop = procedure<void (*)()>("ggml_backend_openvino_stop");
  {
    const Ahead ahead(modules, folder.path);
    draw(ahead, 9);
  }
  const Ahead ahead(modules, folder.path);
  CHECK(ended(ahead, 2));
  stop();
  draw(ahead, 9);
  CHECK(ahead.since("readAhead") == 0 && ahead.since("diskHits") == 2);
  const fs::path list = lists(folder).front();
  const std::string nine = contentOf(list);
  draw(ahead, 10);
  draw(ahead, 11);
  const std::string ten = contentOf(list);
  CHECK(ten != nine);  // the first change is written at once, the next one not
  stop();
  CHECK(contentOf(list) != ten);
}

// Two runtimes with other settings: the model of each has a list of its own.
void twoSettings(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-two-");
  for (const int readings : {0, 2}) {
    const Ahead one(modules, folder.path, "threads=1");
    CHECK(ended(one, readings));
    const Ahead two(modules, folder.path, "threads=2");
    CHECK(ended(two, readings));
    draw(one, 9);
    draw(two, 10);
    CHECK(one.since("readAhead") == 2 * readings);  // of both
  }
  CHECK(lists(folder).size() == 2);
}

// Nothing is read ahead that has no room, and nothing stays that nobody asks for.
void bounds(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-bounds-");
  const auto run = [&](const std::string& more, int readings) {
    const Ahead ahead(modules, folder.path, more);
    CHECK(ended(ahead, readings));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    draw(ahead, 9);
    CHECK(ahead.since("aheadEnded") == readings);
    return ahead.since("readAhead");
  };
  CHECK(run("", 0) == 0);
  CHECK(run("cacheBytes=1000", 0) == 0);
  CHECK(run("aheadBytes=0", 0) == 0);
  CHECK(run("", 2) == 2);
  CHECK(run("aheadSeconds=0", 2) == 0);
}

// Memory is needed: what was read and nobody has asked for is told of as one graph without a number, and
// goes.
void givesWay(const std::string& modules) {
  const auto kept = [&](const Ahead& ahead, uint64_t wanted) {
    std::vector<uint64_t> bytes;
    for (const Kept& one : release(ahead, {}, wanted)) {
      CHECK(one.graph == 0 && one.signature == 0);
      bytes.push_back(one.bytes);
    }
    return bytes;
  };
  const Folder folder("nd-openvino-ahead-way-");
  Pictures wanted;
  {
    const Ahead ahead(modules, folder.path);
    wanted = draw(ahead, 9);
    CHECK(kept(ahead, 1).empty());
  }
  {
    const Ahead ahead(modules, folder.path);
    CHECK(ended(ahead, 2));
    CHECK(kept(ahead, 0).size() == 1 && kept(ahead, 0).front() > 0);
    CHECK(kept(ahead, 1).empty() && kept(ahead, 0).empty());
    CHECK(draw(ahead, 9) == wanted);
    CHECK(ahead.since("readAhead") == 0 && ahead.since("diskHits") == 2);
  }
  // While they are read: whatever was reached, nothing is wrong afterwards.
  for (int turn = 0; turn < 10; ++turn) {
    const Ahead ahead(modules, folder.path);
    std::this_thread::sleep_for(std::chrono::milliseconds(turn / 2));
    kept(ahead, 1);
    CHECK(draw(ahead, 9) == wanted);
    CHECK(ahead.since("compilations") == 0);
  }
}

// A directory that takes no list: everything else goes on.
void readOnly(const std::string& modules) {
  const Folder folder("nd-openvino-ahead-place-");
  writeContent(folder.path, "a file");
  const Ahead ahead(modules, folder.path);
  const Pictures first = draw(ahead, 9);
  CHECK(draw(ahead, 9) == first);
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  return runTests(count, arguments,
                  {readsWhatWasUsed, followsTheSize, otherContent, damaged, manyNetworks, takesTurns, goes,
                   stops, twoSettings, bounds, givesWay, readOnly});
}
