// The disk cache of the OpenVINO backend: where and when its files are written, which of them stay, and which
// module they are of.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <future>
#include <thread>

#include "openvino_disk.h"

namespace nd::test {
namespace {

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

// 8 MiB of weights in f16 and 4 in f32: a file has each in its type.
void narrowWeights(const std::string& modules) {
  constexpr uint64_t mebibyte = 1 << 20;
  const Folder folder("nd-openvino-narrow-");
  const Cached cached(modules, folder.path, "diskCacheBytes=" + std::to_string(16 * mebibyte));
  Layer layer(cached, 18, 7, 65536);
  compute(layer);
  CHECK(cached.since("diskWrites") == 1);
  CHECK(folder.files().size() == 1 && fs::file_size(folder.files().front()) < 14 * mebibyte);
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
  threads.reserve(layers.size());
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
    execl("/proc/self/exe", "openvino_disk_files_test", place.path.c_str(), cache.path.c_str(),
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

// What the tests below do when the backend asks whether it is to stop.
struct Asked {
  std::function<bool()> answer;
  Asked(const Cached& cached, std::function<bool()> theAnswer) : answer(std::move(theAnswer)) {
    const auto set = procedure<ggml_backend_set_abort_callback_t>("ggml_backend_set_abort_callback");
    set(
        cached.openvino.get(), [](void* own) { return static_cast<Asked*>(own)->answer(); }, this);
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
};

// A cancel at any moment of it leaves no half file, and what was compiled is kept.
void cancelled(const std::string& modules) {
  bool ended = false;
  int withoutFile = 0;
  for (int moment = 1; !ended && moment < 50; ++moment) {
    const Folder folder("nd-openvino-cancelled-");
    const Cached cached(modules, folder.path);
    Layer layer(cached, 100 + moment);
    int calls = 0;
    Asked asked(cached, [&] { return ++calls == moment; });
    const ggml_status status = layer.net.compute();
    ended = status == GGML_STATUS_SUCCESS;
    CHECK(ended || status == GGML_STATUS_ABORTED);
    CHECK(cached.since("diskFailures") == 0);
    for (const fs::path& file : folder.files()) CHECK(file.extension() == ".graph");
    if (cached.since("compilations") > 0 && folder.files().empty()) ++withoutFile;
    const int compilations = cached.since("compilations");
    asked.answer = [] { return false; };
    compute(layer);
    CHECK(cached.since("compilations") == 1 && (compilations == 0 || cached.since("diskWrites") <= 1));
  }
  CHECK(ended && withoutFile >= 3);  // after compiling, before its part, and while the file is read again
}

// Another thread compiles while a graph is written.
void writesAlone(const std::string& modules) {
  const Folder folder("nd-openvino-alone-");
  const Cached cached(modules, folder.path);
  const Cached other(modules, folder.path);
  Layer layer(cached, 60);
  Layer second(other, 61);
  std::future<ggml_status> meanwhile;
  int during = 0;
  const Asked asked(cached, [&] {
    if (cached.since("compilations") == 0 || cached.since("diskWrites") > 0) return false;
    ++during;
    if (!meanwhile.valid()) meanwhile = std::async(std::launch::async, [&] { return second.net.compute(); });
    CHECK(meanwhile.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
    return false;
  });
  CHECK(layer.net.compute() == GGML_STATUS_SUCCESS);
  CHECK(during > 0 && meanwhile.get() == GGML_STATUS_SUCCESS);
  CHECK(cached.since("compilations") == 2 && cached.since("diskWrites") == 2);
}

// What cannot stay is not written.
void tooLarge(const std::string& modules) {
  const Folder folder("nd-openvino-large-");
  const Cached cached(modules, folder.path, "diskCacheBytes=100");
  Layer layer(cached, 62);
  compute(layer);
  CHECK(cached.since("compilations") == 1 && cached.since("diskWrites") == 0);
  CHECK(cached.since("diskFailures") == 0 && !fs::exists(folder.path));
}

}  // namespace
}  // namespace nd::test

int main(int count, char** arguments) {
  using namespace nd::test;
  const std::string modules = count > 1 ? arguments[1] : ".";
  if (count > 2) return asOtherProcess(modules, arguments[2]);
  if (!Backends(modules).openvino) return 1;
  withoutRoom(modules);
  narrowWeights(modules);
  bounded(modules);
  temporaryFiles(modules);
  writtenAtOnce(modules);
  cancelled(modules);
  writesAlone(modules);
  tooLarge(modules);
  replacedModule(modules);
  return report();
}
