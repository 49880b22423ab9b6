// The disk cache of the OpenVINO backend: what is read instead of compiled, and that no file, whatever is in
// it and wherever it lies, changes a result or stops one.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "../openvino/hash.h"
#include "check.h"
#include "openvino_net.h"

namespace nd::test {
namespace {

namespace fs = std::filesystem;

struct Layer {
  Net net;
  ggml_tensor* weight;
  Layer(const Backends& backends, int64_t rows, uint64_t seed = 7)
      : net(backends.openvino.get(), false, seed) {
    ggml_tensor* x = net.input({64, rows});
    weight = net.weight(GGML_TYPE_F16, {64, 32}, 0.1F);
    ggml_tensor* other = net.input({64, rows});
    ggml_tensor* y = ggml_silu(net.ctx(), ggml_mul_mat(net.ctx(), weight, ggml_sub(net.ctx(), x, other)));
    net.build({ggml_mul_mat(net.ctx(), net.weight(GGML_TYPE_F32, {32, 16}), y), y});
  }
};

// A backend with a disk cache, and what it has done since it was made.
struct Cached : Backends {
  Cached(const std::string& modules, const fs::path& directory, const std::string& more = "")
      : Backends(modules, ("diskCache=" + directory.string() + '\n' + more).c_str()) {
    clear = reinterpret_cast<void (*)()>(ggml_backend_reg_get_proc_address(
        ggml_backend_reg_by_name("OpenVINO"), "ggml_backend_openvino_clear"));
    for (const char* name : {"compilations", "diskHits", "diskWrites", "diskFailures"})
      before_[name] = figure(name);
  }
  int since(const std::string& name) const { return static_cast<int>(figure(name) - before_.at(name)); }
  // As a process that was started anew.
  void forgetMemory() const { clear(); }

 private:
  void (*clear)();
  std::map<std::string, double> before_;
};

struct Folder {
  fs::path path;
  explicit Folder(const char* name)
      : path(fs::temp_directory_path() / (std::string(name) + std::to_string(getpid()))) {
    fs::remove_all(path);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (fs::exists(path))
      for (const auto& entry : fs::directory_iterator(path)) found.push_back(entry.path());
    return found;
  }
};

std::vector<float> compute(Layer& layer) {
  CHECK(layer.net.compute() == GGML_STATUS_SUCCESS);
  std::vector<float> values = layer.net.read(0);
  const std::vector<float> second = layer.net.read(1);
  values.insert(values.end(), second.begin(), second.end());
  return values;
}

std::string contentOf(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void writeContent(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
}

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
  // adaptive, covered, uncovered, parts; begin, end, compiled, blob, inputs, outputs, copies; the inputs.
  constexpr size_t inputs = 11;
  CHECK(words[0] == "1" && words[3] == "1" && std::stoi(words[8]) >= 4);
  const auto changed = [&](size_t at, const std::string& word) {
    std::vector<std::string> other = words;
    other[at] = word;
    return other;
  };
  std::vector<std::vector<std::string>> lists{changed(inputs, "1000000"),
                                              changed(inputs, "-1"),
                                              changed(7, "99999999999"),
                                              changed(8, "99999999999"),
                                              changed(5, "1000"),
                                              changed(10, "1"),
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

void withoutRoom(const std::string& modules) {
  {
    const Folder folder("nd-openvino-file-");
    writeContent(folder.path, "a file where the directory should be");
    const Cached cached(modules, folder.path);
    Layer layer(cached, 12);
    compute(layer);
    CHECK(cached.since("compilations") == 1 && cached.since("diskFailures") >= 1);
  }
  const Folder folder("nd-openvino-full-");
  const Cached cached(modules, folder.path);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{4096, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  Layer layer(cached, 13);
  const std::vector<float> wanted = compute(layer);
  setrlimit(RLIMIT_FSIZE, &old);
  CHECK(cached.since("diskFailures") == 1 && cached.since("diskWrites") == 0);
  CHECK(folder.files().empty());  // no half file
  cached.forgetMemory();
  CHECK(compute(layer) == wanted);
  CHECK(cached.since("diskWrites") == 1);
}

void bounded(const std::string& modules) {
  const Folder folder("nd-openvino-bounded-");
  uint64_t bytes = 0;
  {
    const Cached cached(modules, folder.path);
    Layer layer(cached, 14);
    compute(layer);
    bytes = fs::file_size(folder.files().front());
    fs::remove_all(folder.path);
  }
  // Room for two.
  const Cached cached(modules, folder.path, "diskCacheBytes=" + std::to_string(bytes * 5 / 2));
  Layer one(cached, 15);
  Layer two(cached, 16);
  Layer three(cached, 17);
  const auto age = [&](int hours) {
    for (const fs::path& file : folder.files())
      fs::last_write_time(file, fs::last_write_time(file) - std::chrono::hours(hours));
  };
  compute(one);
  age(1);
  compute(two);
  age(1);
  cached.forgetMemory();
  compute(one);  // used later than the second
  CHECK(cached.since("diskHits") == 1);
  writeContent(folder.path / "0.graph.part-999999999-0", "left by a process that died");
  compute(three);
  CHECK(folder.files().size() == 2);
  cached.forgetMemory();
  compute(one);
  CHECK(cached.since("diskHits") == 2);
  compute(two);
  CHECK(cached.since("diskHits") == 2);
}

// Whether a temporary file was left behind is told by its lock: a process id says nothing across containers.
void temporaryFiles(const std::string& modules) {
  const Folder folder("nd-openvino-parts-");
  uint64_t bytes = 0;
  {
    const Cached cached(modules, folder.path);
    Layer layer(cached, 20);
    compute(layer);
    bytes = fs::file_size(folder.files().front());
  }
  const Cached cached(modules, folder.path, "diskCacheBytes=" + std::to_string(bytes * 7 / 2));
  const fs::path left = folder.path / ("1.graph.part-" + std::to_string(getpid()) + "-0");
  const fs::path written = folder.path / "2.graph.part-999999999-0";
  writeContent(left, "of a process that had the same id in another container");
  writeContent(written, std::string(bytes, 'x'));
  const int lock = open(written.c_str(), O_RDWR | O_CLOEXEC);
  CHECK(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
  Layer one(cached, 21);
  Layer two(cached, 22);
  compute(one);
  CHECK(!fs::exists(left) && fs::exists(written));
  CHECK(folder.files().size() == 3);
  compute(two);  // room for three of this size, one of which is being written
  CHECK(fs::exists(written) && folder.files().size() == 3);
  close(lock);
  cached.forgetMemory();
  Layer three(cached, 23);
  compute(three);
  CHECK(!fs::exists(written) && folder.files().size() == 3);
  CHECK(cached.since("diskFailures") == 0);
}

// Many threads that write at once have a name each, and leave none.
void writtenAtOnce(const std::string& modules) {
  const Folder folder("nd-openvino-once-");
  const Cached cached(modules, folder.path);
  std::vector<std::unique_ptr<Cached>> backends;
  std::vector<std::unique_ptr<Layer>> layers;
  for (int i = 0; i < 4; ++i) {
    backends.push_back(std::make_unique<Cached>(modules, folder.path));
    layers.push_back(std::make_unique<Layer>(*backends.back(), 24 + i));
  }
  std::vector<std::thread> threads;
  for (const auto& layer : layers) threads.emplace_back([&layer] { compute(*layer); });
  for (std::thread& thread : threads) thread.join();
  CHECK(cached.since("diskWrites") == 4 && cached.since("diskFailures") == 0);
  CHECK(folder.files().size() == 4);
  cached.forgetMemory();
  for (const auto& layer : layers) compute(*layer);
  CHECK(cached.since("diskHits") == 4);
}

// Another process, whose module is put in place of the one that it has loaded before its cache is used:
// `before` changes the bytes of the module that it loads, `later` those that lie there afterwards.
using Change = std::function<void(std::string&)>;
void otherProcess(const std::string& modules, const Folder& place, const Folder& cache, const Change& before,
                  const Change& later) {
  const std::string name = "libggml-openvino.so";
  fs::create_directories(place.path);
  for (const auto& entry : fs::directory_iterator(modules))
    if (entry.path().filename() != name && entry.path().string().find("node-diffusion") == std::string::npos)
      fs::create_symlink(fs::absolute(entry.path()), place.path / entry.path().filename());
  std::string module = contentOf(fs::path(modules) / name);
  before(module);
  writeContent(place.path / name, module);
  later(module);
  writeContent(place.path / "later", module);
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "openvino_disk_test", place.path.c_str(), cache.path.c_str(),
          static_cast<char*>(nullptr));
    _exit(9);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int asOtherProcess(const fs::path& modules, const fs::path& cache) {
  const Cached cached(modules.string(), cache);
  fs::rename(modules / "later", modules / "libggml-openvino.so");
  Layer layer(cached, 8);
  compute(layer);
  std::printf("%d compilations, %d read, %d written, %d failures\n", cached.since("compilations"),
              cached.since("diskHits"), cached.since("diskWrites"), cached.since("diskFailures"));
  return report();
}

std::string makerOf(const Folder& folder) {
  CHECK(folder.files().size() == 1);
  return folder.files().empty() ? "" : contentOf(folder.files().front()).substr(16, 16);
}

// A file says which code made it, not which file lay where that code came from.
void replacedModule(const std::string& modules) {
  const Folder own("nd-openvino-own-");
  const Cached cached(modules, own.path);
  Layer layer(cached, 8);
  compute(layer);
  const auto same = [](std::string&) {};
  const auto longer = [](std::string& module) { module += "another version"; };
  // As a linker writes it: lengths of name and value, the type, and the name.
  const std::string note("\4\0\0\0\24\0\0\0\3\0\0\0GNU\0", 16);
  const auto otherBuild = [&](std::string& module) { module[module.find(note) + note.size()] ^= 1; };
  const auto noBuild = [&](std::string& module) { module[module.find(note) + 12] = 'X'; };
  {
    const Folder place("nd-openvino-place-");
    const Folder cache("nd-openvino-replaced-");
    otherProcess(modules, place, cache, same, longer);
    CHECK(makerOf(cache) == makerOf(own));
  }
  {
    const Folder place("nd-openvino-place-");
    const Folder cache("nd-openvino-other-");
    otherProcess(modules, place, cache, otherBuild, same);
    CHECK(makerOf(cache) != makerOf(own));
  }
  const Folder place("nd-openvino-place-");
  const Folder cache("nd-openvino-unknown-");
  otherProcess(modules, place, cache, noBuild, same);
  CHECK(cache.files().empty());
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  const std::string modules = count > 1 ? arguments[1] : ".";
  if (count > 2) return asOtherProcess(modules, arguments[2]);
  if (!Backends(modules).openvino) return 1;
  readsWhatItWrote(modules);
  readsInputs(modules);
  spoiled(modules);
  exchanged(modules);
  ofAnotherGraph(modules);
  withoutRoom(modules);
  bounded(modules);
  temporaryFiles(modules);
  writtenAtOnce(modules);
  replacedModule(modules);
  return report();
}
