// Hosts: jobs cancelled and hosts shut down from other threads than the one that posts, as when a process
// exits or a worker thread is terminated while JavaScript still starts jobs.
#include "host.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"

namespace {

using nd::addon::Host;
using std::chrono::milliseconds;

class CountingJob : public nd::Job {
 public:
  void onProgress(const nd::Progress& /*progress*/) override { ++events; }
  void onPreview(int /*step*/, nd::Image /*image*/) override { ++events; }
  std::atomic<int> events{0};
};

// Works until it is cancelled, and counts how it ended.
struct Tally {
  std::atomic<int> cancelled{0};
  std::atomic<int> ran{0};
};

void work(CountingJob& job, Tally& tally) {
  ++tally.ran;
  for (int i = 0; i < 2000 && !job.cancelled(); ++i) {
    job.onProgress({});
    std::this_thread::sleep_for(milliseconds(1));
  }
  if (job.cancelled()) ++tally.cancelled;
}

void shutdownCancelsWhatRunsAndWaits() {
  Tally tally;
  Host host;
  std::vector<std::shared_ptr<CountingJob>> jobs;
  for (int i = 0; i < 5; ++i) {
    auto job = std::make_shared<CountingJob>();
    jobs.push_back(job);
    CHECK(host.post(job, [job, &tally] { work(*job, tally); }));
  }
  while (tally.ran == 0) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  host.shutdown();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  CHECK(tally.ran == 5 && tally.cancelled == 5);  // those that waited were run with their flag set
  CHECK(host.stopped());
  const auto late = std::make_shared<CountingJob>();
  CHECK(!host.post(late, [late, &tally] { work(*late, tally); }));
  CHECK(tally.ran == 5);
}

void cancelFromAnotherThread() {
  Tally tally;
  Host host;
  for (int i = 0; i < 20; ++i) {
    const auto job = std::make_shared<CountingJob>();
    CHECK(host.post(job, [job, &tally] { work(*job, tally); }));
    std::thread([job] { job->cancel(); }).join();
  }
  host.stop();
  CHECK(tally.ran == 20 && tally.cancelled == 20);
}

void postingRacesWithShutdown() {
  for (int round = 0; round < 20; ++round) {
    Tally tally;
    Host host;
    std::atomic<int> accepted{0};
    std::vector<std::thread> threads;
    threads.reserve(5);
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 20; ++j) {
          const auto job = std::make_shared<CountingJob>();
          if (host.post(job, [job, &tally] { ++tally.ran; })) ++accepted;
        }
      });
    }
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { host.shutdown(); });
    for (auto& thread : threads) thread.join();
    CHECK(tally.ran == accepted);  // what was accepted is run, what was refused is not
  }
}

void environmentsEndBesideEachOther() {
  const int environments = 4;
  Tally tally;
  std::vector<std::thread> threads;
  threads.reserve(environments);
  for (int i = 0; i < environments; ++i) {
    threads.emplace_back([&] {
      const int environment = 0;  // its address is its name
      for (int round = 0; round < 5; ++round) {
        const auto host = std::make_shared<Host>();
        nd::addon::registerHost(host, &environment);
        const auto job = std::make_shared<CountingJob>();
        host->post(job, [job, &tally] { work(*job, tally); });
        nd::addon::shutdownHosts(&environment);
        CHECK(host->stopped());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(tally.ran == environments * 5 && tally.cancelled == environments * 5);

  const int ours = 0;
  const int other = 0;
  const auto host = std::make_shared<Host>();
  nd::addon::registerHost(host, &ours);
  nd::addon::shutdownHosts(&other);
  CHECK(!host->stopped());
  nd::addon::shutdownHosts(nullptr);  // the end of the process
  CHECK(host->stopped());
}

}  // namespace

int main() {
  shutdownCancelsWhatRunsAndWaits();
  cancelFromAnotherThread();
  postingRacesWithShutdown();
  environmentsEndBesideEachOther();
  return nd::test::report();
}
