// Our parser of prompt weights against the engine's: the same parts and the same weights, bit by bit.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "prompt_attention.h"
#include "types.h"
#include "util.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t longest = 2048;  // the engine's parser recurses for each character
  if (size > longest) return 0;
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::pair<std::string, float>> ours;
  bool refused = false;
  try {
    ours = nd::parsePromptAttention(text);
  } catch (const nd::EngineError&) {
    refused = true;
  }
  std::vector<std::pair<std::string, float>> theirs;
  bool threw = false;
  try {
    theirs = parse_prompt_attention(text);
  } catch (const std::exception&) {
    threw = true;
  }
  bool same = refused == threw && ours.size() == theirs.size();
  for (size_t i = 0; same && i < ours.size(); ++i) {
    same = ours[i].first == theirs[i].first &&
           std::memcmp(&ours[i].second, &theirs[i].second, sizeof(float)) == 0;
  }
  if (!same) {
    std::fprintf(stderr, "ours: %zu parts, theirs: %zu\n", ours.size(), theirs.size());
    std::abort();
  }
  return 0;
}
