// Two models at work at once, each on a host as in the addon: jobs cancelled from another thread in every
// phase, events counted on one thread and read on another, the log sink changed meanwhile, a model loaded and
// freed beside them. Made for ThreadSanitizer; what is checked holds without it too. Needs the embedded
// model, see model.h.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "check.h"
#include "host.h"
#include "log.h"
#include "model.h"
#include "runtime.h"

namespace {

using nd::addon::Host;
using nd::test::bytesOf;

// Events cross as in the addon: copied into a queue under a lock that another thread empties.
class QueueJob : public nd::Job {
 public:
  void onProgress(const nd::Progress& progress) override {
    if (cancelled()) return;
    const std::lock_guard lock(mutex_);
    events_.push_back(progress);
    changed_.notify_all();
  }
  void onPreview(int /*step*/, nd::Image image) override {
    if (cancelled()) return;
    const std::lock_guard lock(mutex_);
    previews_.push_back(std::move(image));
  }
  void finish(bool aborted) {
    const std::lock_guard lock(mutex_);
    done_ = true;
    aborted_ = aborted;
    changed_.notify_all();
  }
  // True when the phase began; false when the job ended first.
  bool waitFor(nd::Phase phase) {
    std::unique_lock lock(mutex_);
    const auto begun = [&] {
      return std::any_of(events_.begin(), events_.end(), [&](const auto& e) { return e.phase == phase; });
    };
    changed_.wait(lock, [&] { return done_ || begun(); });
    return begun();
  }
  // True when it was aborted.
  bool wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    return aborted_;
  }
  size_t previews() {
    const std::lock_guard lock(mutex_);
    return previews_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<nd::Progress> events_;
  std::vector<nd::Image> previews_;
  bool done_ = false;
  bool aborted_ = false;
};

struct ModelHost : Host {
  ~ModelHost() override { shutdown(); }
  std::unique_ptr<nd::Model> model;
};

template <typename Work>
std::shared_ptr<QueueJob> start(const std::shared_ptr<ModelHost>& host, Work work) {
  auto job = std::make_shared<QueueJob>();
  ModelHost* raw = host.get();
  const bool posted = host->post(job, [raw, job, work]() mutable {
    try {
      work(*raw, *job);
      job->finish(false);
    } catch (const nd::EngineError& error) {
      CHECK(error.code() == nd::ErrorCode::Aborted);
      job->finish(true);
    }
  });
  CHECK(posted);
  return job;
}

struct Loading {
  std::shared_ptr<ModelHost> host = std::make_shared<ModelHost>();
  std::shared_ptr<QueueJob> job =
      start(host, [](ModelHost& h, nd::Job& j) { h.model = nd::Model::load(nd::test::loadOptions(), j); });
};

nd::Image draw(nd::Model& model, nd::Job& job, int steps, const std::string& text) {
  auto cond = model.encodePrompt(nd::test::prompt(text), job);
  nd::SampleParams params = nd::test::sampleRequest(model, std::move(cond), steps, 5);
  params.preview = "proj";
  nd::DecodeParams decode;
  decode.latent = model.sample(params, job);
  return model.decodeLatent(decode, job);
}

std::vector<uint8_t> picture(const std::shared_ptr<ModelHost>& host) {
  const auto pixels = std::make_shared<std::vector<uint8_t>>();
  const auto job = start(
      host, [pixels](ModelHost& h, nd::Job& j) { *pixels = bytesOf(draw(*h.model, j, 2, "a red apple")); });
  CHECK(!job->wait());
  CHECK(job->previews() == 2);
  return *pixels;
}

// One job after the other, each cancelled at some moment of some phase.
void cancelAtRandom(const std::shared_ptr<ModelHost>& host, unsigned seed, int jobs) {
  std::mt19937 random(seed);
  for (int i = 0; i < jobs; ++i) {
    const auto job = start(host, [i](ModelHost& h, nd::Job& j) {
      for (int round = 0; round < 50; ++round) draw(*h.model, j, 2, "prompt " + std::to_string(i));
    });
    constexpr nd::Phase phases[] = {nd::Phase::Encode, nd::Phase::Sample, nd::Phase::Decode};
    CHECK(job->waitFor(phases[i % 3]));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
    job->cancel();
    CHECK(job->wait());
  }
}

void loadAndCancel(unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 2; ++i) {
    const Loading loading;
    CHECK(loading.job->waitFor(nd::Phase::Load));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 100));
    loading.job->cancel();
    loading.job->wait();  // a load that was done by then is no fault
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!nd::test::hasModel(argc, "race_test")) return nd::test::skipped;
  nd::loadBackends(argv[1]);
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : std::random_device()();
  std::printf("seed %u\n", seed);

  std::atomic<int> lines{0};
  nd::setLogSink(nd::LogLevel::Debug, [&](auto&&...) { ++lines; });
  // The first loads of the process, both at once: whatever the engine makes lazily is made here.
  const Loading one;
  const Loading two;
  CHECK(!one.job->wait() && !two.job->wait());
  const auto& first = one.host;
  const auto& second = two.host;
  nd::addon::registerHost(first, nullptr);
  nd::addon::registerHost(second, nullptr);
  const auto expected = picture(first);
  CHECK(expected == picture(second));

  std::atomic<bool> working{true};
  std::thread logger([&] {
    while (working) {
      nd::setLogSink(nd::LogLevel::Info, [&](auto&&...) { ++lines; });
      nd::setLogSink(nd::LogLevel::Debug, [&](auto&&...) { ++lines; });
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::thread cancelsFirst([&] { cancelAtRandom(first, seed, 3); });
  std::thread cancelsSecond([&] { cancelAtRandom(second, seed + 1, 3); });
  std::thread loads([&] { loadAndCancel(seed + 2); });
  cancelsFirst.join();
  cancelsSecond.join();
  loads.join();
  working = false;
  logger.join();
  CHECK(lines > 0);

  CHECK(picture(first) == expected);
  CHECK(picture(second) == expected);
  // Both at once, and the process ends while a third job runs.
  std::vector<uint8_t> here;
  std::thread thread([&] { here = picture(first); });
  const auto there = picture(second);
  thread.join();
  CHECK(here == expected && there == expected);
  const auto last = start(first, [](ModelHost& h, nd::Job& j) {
    for (int round = 0; round < 50; ++round) draw(*h.model, j, 2, "the last");
  });
  CHECK(last->waitFor(nd::Phase::Sample));
  nd::addon::shutdownHosts(nullptr);
  CHECK(last->wait());
  nd::setLogSink(nd::LogLevel::Error, {});
  return nd::test::report();
}
