// Our checks of files and prompts: what they refuse, and that our parser of prompt weights is the engine's.
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "check.h"
#include "model_file/check.h"
#include "prompt_attention.h"
#include "types.h"

// Of the engine (util.cpp).
std::vector<std::pair<std::string, float>> parse_prompt_attention(const std::string& text);

namespace {

using Parts = std::vector<std::pair<std::string, float>>;

std::string u64(uint64_t value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

std::string safetensors(const std::string& header, size_t data) {
  return u64(header.size()) + header + std::string(data, '\0');
}

// The code that a file of these bytes is refused with, or null.
const char* verdict(const std::string& bytes) {
  const std::string path = "/tmp/nd-model-file-test-" + std::to_string(getpid());
  std::ofstream(path, std::ios::binary) << bytes;
  const char* code = nullptr;
  try {
    nd::checkModelFile(path);
  } catch (const nd::EngineError& error) {
    code = nd::errorCodeName(error.code());
  }
  std::remove(path.c_str());
  return code;
}

bool refused(const std::string& bytes, const char* code = "ERR_MODEL_CORRUPT") {
  const char* got = verdict(bytes);
  return got != nullptr && std::string(got) == code;
}

void files() {
  const std::string good = R"({"a.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})";
  CHECK(verdict(safetensors(good, 8)) == nullptr);
  CHECK(verdict(safetensors(
            R"({"__metadata__":{"k":["v",{"a":1}]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
            4)) == nullptr);
  CHECK(refused(""));
  CHECK(refused(std::string(8, '\0')));
  CHECK(refused(u64(uint64_t{1} << 63) + good));
  CHECK(refused(safetensors(good, 7)));
  CHECK(refused(safetensors("[1,2,3]", 8)));
  CHECK(refused(safetensors("{}", 8)));
  CHECK(refused(safetensors(R"({"a":5})", 8)));
  CHECK(refused(safetensors(R"({"a":{"dtype":"F16","shape":[[4]],"data_offsets":[0,8]}})", 8)));
  CHECK(refused(safetensors(R"({"a":{"dtype":"F16","shape":[-4],"data_offsets":[0,8]}})", 8)));
  CHECK(refused(safetensors(R"({"a":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}})", 8)));
  CHECK(refused(safetensors(
      R"({"a":{"dtype":"F16","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}})", 8)));
  CHECK(refused(safetensors(R"({"a":{"dtype":"Q9","shape":[4],"data_offsets":[0,8]}})", 8)));
  CHECK(refused(safetensors("{\"a\":" + std::string(90'000, '['), 8)));
  CHECK(refused("GGUF" + std::string(20, '\xff'), "ERR_MODEL_UNSUPPORTED"));
  CHECK(refused("just a line of text, nothing more\n", "ERR_MODEL_UNSUPPORTED"));
  CHECK(refused("PK\x03\x04" + std::string(100, 'x')));
  CHECK(refused("\x80\x02(((((((((((((" + std::string(100, 'x')));
  CHECK(nd::test::throws<nd::EngineError>([] { nd::checkModelFile("/no/such/file"); }));
  CHECK(nd::test::throws<nd::EngineError>([] { nd::checkModelFile("/dev/null"); }));
  CHECK(nd::hasExcessiveBlock("model.double_blocks.512.weight"));
  CHECK(nd::hasExcessiveBlock("body.99999999999999999999.rdb1"));
  CHECK(!nd::hasExcessiveBlock("model.double_blocks.511.weight"));
  CHECK(!nd::hasExcessiveBlock("mlp512.weight"));
}

bool same(const std::string& text) {
  Parts ours;
  Parts theirs;
  bool refusedByUs = false;
  bool refusedByThem = false;
  try {
    ours = nd::parsePromptAttention(text);
  } catch (const nd::EngineError& error) {
    refusedByUs = error.code() == nd::ErrorCode::InvalidPrompt;
  }
  try {
    theirs = parse_prompt_attention(text);
  } catch (const std::exception&) {
    refusedByThem = true;
  }
  const bool equal = refusedByUs == refusedByThem && ours == theirs;
  if (!equal) std::fprintf(stderr, "differs for: %s\n", text.c_str());
  return equal;
}

void prompts() {
  for (const char* text :
       {"", "a red apple", "an (important) word", "(unbalanced", R"(\(literal\])", "(unnecessary)(parens)",
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", "a BREAK b", "aBREAKb BREAKb BREAK",
        "Bob (B:1.1) :B", ":1.2)", "(a:.)", "(a:1.2.3)", "(a:99999999999999999999999999999999999999999999)",
        "a\\", "[a](b)]", "(a:-1)", "   BREAK   "})
    CHECK(same(text));
  std::mt19937 random(1);  // NOLINT: the same texts every time
  const std::vector<std::string> pieces{"(",      ")", "[",        "]", ":1.2)", ":", "BREAK",   "B", "\\",
                                        "apple ", "_", "\xc3\xa9", ".", "-0.5)", " ", "BREAKING"};
  bool equal = true;
  for (int i = 0; i < 3000 && equal; ++i) {
    std::string text;
    for (auto count = random() % 14; count > 0; --count) text += pieces[random() % pieces.size()];
    equal = same(text);
  }
  CHECK(equal);
  // Where the engine's parser would use up the stack.
  const std::string word(1'000'000, 'a');
  CHECK(nd::parsePromptAttention(word) == Parts({{word, 1.0F}}));
  std::string nested;
  for (int i = 0; i < 200'000; ++i) nested += "(a";
  CHECK(nd::test::throws<nd::EngineError>([&] { nd::parsePromptAttention(nested); }));
}

}  // namespace

int main() {
  files();
  prompts();
  return nd::test::report();
}
