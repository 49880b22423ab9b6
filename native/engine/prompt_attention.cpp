#include "prompt_attention.h"

#include <cctype>

#include "types.h"

namespace nd {
namespace {

using Parts = std::vector<std::pair<std::string, float>>;

bool isWord(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Parts parse() {
    while (at_ < text_.size()) token();
    for (const size_t start : round_) multiply(start, roundFactor);
    for (const size_t start : square_) multiply(start, squareFactor);
    if (parts_.empty()) parts_.emplace_back("", 1.0F);
    Parts merged;
    for (auto& part : parts_) {
      if (!merged.empty() && merged.back().second == part.second)
        merged.back().first += part.first;
      else
        merged.push_back(std::move(part));
    }
    return merged;
  }

 private:
  static constexpr float roundFactor = 1.1F;
  static constexpr float squareFactor = 1 / 1.1F;

  void token() {
    const char character = text_[at_];
    switch (character) {
      case '\\':
        return escape();
      case '(':
        ++at_;
        return round_.push_back(parts_.size());
      case '[':
        ++at_;
        return square_.push_back(parts_.size());
      case ')':
        ++at_;
        return close(round_, roundFactor, ")");
      case ']':
        ++at_;
        return close(square_, squareFactor, "]");
      case ':':
        return colon();
      case 'B':
        return capitalB();
      default:
        const size_t end = std::min(text_.find_first_of("\\()[]:B", at_), text_.size());
        add(text_.substr(at_, end - at_));
        at_ = end;
    }
  }
  void add(std::string text, float weight = 1.0F) { parts_.emplace_back(std::move(text), weight); }

  // Only an escaped opening bracket loses its backslash; so it is in the engine.
  void escape() {
    const bool pair =
        at_ + 1 < text_.size() && std::string("()[]\\").find(text_[at_ + 1]) != std::string::npos;
    const std::string taken = text_.substr(at_, pair ? 2 : 1);
    at_ += taken.size();
    add(taken == "\\(" ? "(" : taken);
  }
  void close(std::vector<size_t>& open, float factor, const char* text) {
    if (open.empty()) return add(text);
    multiply(open.back(), factor);
    open.pop_back();
  }
  // ":1.2)" ends a bracket; without a bracket it is dropped.
  void colon() {
    size_t end = at_ + 1;
    if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) ++end;
    const size_t digits = end;
    while (end < text_.size() &&
           (text_[end] == '.' || std::isdigit(static_cast<unsigned char>(text_[end])) != 0))
      ++end;
    if (end == digits || end == text_.size() || text_[end] != ')') {
      ++at_;
      return add(":");
    }
    const std::string weight = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (round_.empty()) return;
    multiply(round_.back(), number(weight));
    round_.pop_back();
  }
  static float number(const std::string& weight) {
    try {
      return std::stof(weight);
    } catch (const std::exception&) {
      throw EngineError(ErrorCode::InvalidPrompt,
                        "The weight \":" + weight.substr(0, 40) + ")\" of the prompt is no number.");
    }
  }
  // The engine looks at what is left as at a text of its own, so that every B begins a word.
  void capitalB() {
    const std::string word = "BREAK";
    const size_t end = at_ + word.size();
    const bool whole =
        text_.compare(at_, word.size(), word) == 0 && (end == text_.size() || !isWord(text_[end]));
    at_ = whole ? end : at_ + 1;
    if (whole)
      add(word, -1.0F);
    else
      add("B");
  }
  void multiply(size_t start, float factor) {
    constexpr size_t most = 50'000'000;
    work_ += parts_.size() - start;
    if (work_ > most)
      throw EngineError(ErrorCode::InvalidPrompt, "The prompt has too many brackets inside brackets.");
    for (size_t i = start; i < parts_.size(); ++i) parts_[i].second *= factor;
  }

  const std::string& text_;
  size_t at_ = 0;
  size_t work_ = 0;
  Parts parts_;
  std::vector<size_t> round_;
  std::vector<size_t> square_;
};

}  // namespace

std::vector<std::pair<std::string, float>> parsePromptAttention(const std::string& text) {
  return Parser(text).parse();
}

}  // namespace nd
