// The disk cache of the OpenVINO backend: what is read instead of compiled, and that no file, whatever is in
// it, changes a result or stops one.
#include <sstream>

#include "../openvino/hash.h"
#include "openvino_disk.h"

namespace nd::test {
namespace {

void readsWhatItWrote(const std::string& modules) {
  const Folder folder("nd-openvino-disk-");
  const Cached cached(modules, folder.path);
  Layer layer(cached, 8);
  const std::vector<float> wanted = compute(layer);
  CHECK(cached.since("compilations") == 1 && cached.since("diskWrites") == 1);
  CHECK(folder.files().size() == 1);  // and no temporary file
  cached.forgetMemory();
  CHECK(compute(layer) == wanted);
  CHECK(cached.since("compilations") == 1 && cached.since("diskHits") == 1);
  CHECK(compute(layer) == wanted);
  CHECK(cached.since("diskHits") == 1);  // it is in memory again

  // Another size and another content are other files.
  Layer larger(cached, 9);
  compute(larger);
  std::vector<uint8_t> changed = layer.net.bytesOf(layer.weight);
  for (size_t i = 1; i < changed.size(); i += 2) changed[i] ^= 0x80;
  layer.net.set(layer.weight, changed);
  CHECK(relativeError(compute(layer), wanted) > 0.1);
  CHECK(cached.since("compilations") == 3 && folder.files().size() == 3);

  // So are other settings.
  const Cached threaded(modules, folder.path, "threads=1");
  Layer again(threaded, 8);
  CHECK(relativeError(compute(again), wanted) < 1e-5);
  CHECK(threaded.since("compilations") == 1);
}

// A graph whose weights are inputs is read as well, and takes what they hold now.
void readsInputs(const std::string& modules) {
  const Folder folder("nd-openvino-inputs-");
  const Cached cached(modules, folder.path);
  Layer layer(cached, 18, 3);
  const std::vector<float> plain = compute(layer);
  const std::vector<uint8_t> original = layer.net.bytesOf(layer.weight);
  const auto use = [&](size_t every) {
    std::vector<uint8_t> bytes = original;
    for (size_t i = 1; i < bytes.size(); i += 2 * every) bytes[i] ^= 0x80;
    layer.net.set(layer.weight, bytes);
  };
  use(1);
  const std::vector<float> first = compute(layer);
  use(2);
  const std::vector<float> second = compute(layer);
  CHECK(relativeError(first, second) > 0.1);
  CHECK(cached.since("compilations") == 2 && folder.files().size() == 2);
  cached.forgetMemory();
  use(1);
  CHECK(compute(layer) == first);
  use(2);
  CHECK(compute(layer) == second);
  layer.net.set(layer.weight, original);
  CHECK(relativeError(compute(layer), plain) < 1e-5);
  CHECK(cached.since("compilations") == 2 && cached.since("diskHits") == 1);
}

// Every way to spoil a file: it is compiled again, gives the same result, and the file is whole afterwards.
void spoiled(const std::string& modules) {
  const Folder folder("nd-openvino-spoiled-");
  const Cached first(modules, folder.path);
  Layer layer(first, 10);
  const std::vector<float> wanted = compute(layer);
  CHECK(folder.files().size() == 1);
  const fs::path file = folder.files().front();
  const std::string whole = contentOf(file);
  std::vector<std::string> contents{"",
                                    "nonsense",
                                    whole.substr(0, 40),
                                    whole.substr(0, whole.size() / 2),
                                    whole.substr(0, whole.size() - 1),
                                    whole + "x"};
  std::mt19937_64 random(testSeed());
  for (int i = 0; i < 40; ++i) {  // one bit anywhere, the first ones in the header
    std::string flipped = whole;
    flipped[i < 12 ? static_cast<size_t>(i) * 8 : random() % whole.size()] ^=
        static_cast<char>(1 << (random() % 8));
    contents.push_back(flipped);
  }
  for (const std::string& content : contents) {
    writeContent(file, content);
    first.forgetMemory();
    const Cached cached(modules, folder.path);
    CHECK(compute(layer) == wanted);
    CHECK(cached.since("compilations") == 1 && cached.since("diskHits") == 0 &&
          cached.since("diskFailures") == 1);
    first.forgetMemory();
    CHECK(compute(layer) == wanted);
    CHECK(cached.since("diskHits") == 1);
  }
}

// A file of many pieces, whose memory is the system's own: whole, and with one bit changed in any of them.
void large(const std::string& modules) {
  const Folder folder("nd-openvino-large-");
  const Cached cached(modules, folder.path);
  Net net(cached.openvino.get(), false, 19);
  net.build({ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {1024, 1600}, 0.1F), net.input({1024, 3}))});
  const auto result = [&] {
    CHECK(net.compute() == GGML_STATUS_SUCCESS);
    return net.read();
  };
  const std::vector<float> wanted = result();
  const fs::path file = folder.files().front();
  const std::string whole = contentOf(file);
  CHECK(whole.size() > size_t{6} << 20);
  std::mt19937_64 random(testSeed());
  for (int piece = -1; piece < 6; ++piece) {
    std::string content = whole;
    if (piece >= 0)
      content[(static_cast<size_t>(piece) << 20) + random() % (1 << 20)] ^=
          static_cast<char>(1 << (random() % 8));
    cached.forgetMemory();
    writeContent(file, content);
    const int hits = cached.since("diskHits");
    CHECK(result() == wanted);
    CHECK(cached.since("diskHits") - hits == (piece < 0 ? 1 : 0));
  }
  CHECK(cached.since("diskFailures") == 6 && cached.since("compilations") == 7);
  cached.forgetMemory();
  CHECK(result() == wanted);
  CHECK(cached.since("compilations") == 7);
}

// A file of another content under this one's name.
void exchanged(const std::string& modules) {
  const Folder folder("nd-openvino-exchanged-");
  const Cached cached(modules, folder.path);
  Layer one(cached, 11, 1);
  compute(one);
  const fs::path first = folder.files().front();
  Layer two(cached, 11, 2);
  const std::vector<float> wanted = compute(two);
  for (const fs::path& file : folder.files())
    if (file != first) fs::copy_file(first, file, fs::copy_options::overwrite_existing);
  cached.forgetMemory();
  CHECK(compute(two) == wanted);
  CHECK(cached.since("diskHits") == 0);
}

// The file with another description, and every hash right.
std::string described(const std::string& whole, const std::string& description) {
  constexpr size_t header = 96;
  constexpr size_t body = 64;
  constexpr size_t self = 80;
  uint64_t blobs = 0;
  std::memcpy(&blobs, &whole[48], sizeof(blobs));
  std::string made = whole.substr(0, header + blobs) + description;
  const uint64_t bytes = description.size();
  std::memcpy(&made[56], &bytes, sizeof(bytes));
  const auto hash = [&](size_t from, size_t size, size_t to) {
    openvino::Hasher hasher;
    hasher.add(&made[from], size);
    const openvino::Id id = hasher.finish();
    std::memcpy(&made[to], &id, sizeof(id));
  };
  CHECK(made.size() - header < size_t{1} << 20);  // one piece
  hash(header, made.size() - header, body);
  hash(0, self, self);
  return made;
}

// A file that is whole and fits another graph: nothing of it reaches the graph, and it is compiled.
void ofAnotherGraph(const std::string& modules) {
  const Folder folder("nd-openvino-described-");
  const Cached cached(modules, folder.path, "weightInputs=1");
  Layer layer(cached, 19, 4);
  const std::vector<float> wanted = compute(layer);
  CHECK(folder.files().size() == 1);
  const fs::path file = folder.files().front();
  const std::string whole = contentOf(file);
  uint64_t length = 0;
  std::memcpy(&length, &whole[56], sizeof(length));
  std::vector<std::string> words;
  std::istringstream text(whole.substr(whole.size() - length));
  for (std::string word; text >> word;) words.push_back(word);
  CHECK(described(whole, whole.substr(whole.size() - length)) == whole);
  // adaptive, covered, uncovered, bytes, parts; begin, end, compiled, blob, inputs, outputs, copies; the
  // inputs.
  constexpr size_t inputs = 12;
  CHECK(words[0] == "1" && words[4] == "1" && std::stoi(words[9]) >= 4);
  const auto changed = [&](size_t at, const std::string& word) {
    std::vector<std::string> other = words;
    other[at] = word;
    return other;
  };
  std::vector<std::vector<std::string>> lists{changed(inputs, "1000000"),
                                              changed(inputs, "-1"),
                                              changed(8, "99999999999"),
                                              changed(9, "99999999999"),
                                              changed(6, "1000"),
                                              changed(11, "1"),
                                              changed(0, "0")};
  for (size_t one = 0; one < 4; ++one)
    for (size_t two = 0; two < one; ++two) {
      lists.push_back(words);
      std::swap(lists.back()[inputs + one], lists.back()[inputs + two]);
    }
  int refused = 0;
  for (const std::vector<std::string>& list : lists) {
    std::string description;
    for (const std::string& word : list) description += (description.empty() ? "" : " ") + word;
    writeContent(file, described(whole, description));
    cached.forgetMemory();
    const Cached again(modules, folder.path, "weightInputs=1");
    const bool computed = layer.net.compute() == GGML_STATUS_SUCCESS;
    refused += again.since("diskFailures");
    if (again.since("diskFailures") == 0) continue;  // two inputs of one shape are exchanged
    CHECK(computed && layer.net.read(0).size() * 3 == wanted.size());
    CHECK(again.since("compilations") == 1 && again.since("diskWrites") == 1);
    CHECK(compute(layer) == wanted);
  }
  CHECK(refused >= static_cast<int>(lists.size()) - 2);
}

// What is left to the CPU is told of a graph that is read as of one that is compiled.
void tellsWhatFallsBack(const std::string& modules) {
  const Folder folder("nd-openvino-reasons-");
  const Cached cached(modules, folder.path);
  Net net(cached.openvino.get(), false, 5);
  ggml_tensor* y = ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {32, 16}), net.input({32, 8}));
  net.build({ggml_silu(net.ctx(), ggml_roll(net.ctx(), y, 1, 0, 0, 0))});
  std::string log;
  ggml_log_set([](ggml_log_level, const char* text, void* own) { *static_cast<std::string*>(own) += text; },
               &log);
  for (int time = 0; time < 2; ++time) {
    log.clear();
    CHECK(net.compute() == GGML_STATUS_SUCCESS);
    CHECK(log.find("1 x ROLL: no rule for this operation") != std::string::npos);
    cached.forgetMemory();
  }
  ggml_log_set(nullptr, nullptr);
  CHECK(cached.since("compilations") == 1 && cached.since("diskHits") == 1);
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  return runTests(
      count, arguments,
      {readsWhatItWrote, readsInputs, spoiled, large, exchanged, ofAnotherGraph, tellsWhatFallsBack});
}
