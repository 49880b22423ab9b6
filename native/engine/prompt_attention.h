// The attention syntax of prompts: "(text)", "[text]", "(text:1.2)", BREAK. The engine's own parser is made
// of regular expressions, whose depth grows with the prompt until the stack ends; this one takes its place
// and gives the same parts (a test compares the two). Any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nd {

// Texts with their weights; BREAK has -1. Throws EngineError InvalidPrompt for a weight that is no number and
// for brackets without measure.
std::vector<std::pair<std::string, float>> parsePromptAttention(const std::string& text);

}  // namespace nd
