// Prompts in tokens, as the engine's text encoders will get them.

namespace nd {
namespace upstream {

// Text tokens of a CLIP chunk: 77 less its begin and its end.
inline constexpr size_t clipChunk = 75;

template <typename Encoder>
std::vector<int> tokensOf(Encoder& tokenizer, const std::string& text) {
  std::vector<int> tokens;
  for (const auto& [part, weight] : parsePromptAttention(text)) {
    const std::vector<int> some = tokenizer.encode(part);
    tokens.insert(tokens.end(), some.begin(), some.end());
  }
  return tokens;
}

inline TokenCount tokenCount(const char* encoder, size_t tokens, size_t chunk) {
  const size_t chunks = chunk == 0 ? 1 : std::max<size_t>(1, (tokens + chunk - 1) / chunk);
  return {encoder, tokens, chunks, chunk, 0, {}};
}

// FLUX makes its pooled vector of CLIP-L's first chunk and passes over the rest.
inline TokenCount cutAtOneChunk(CLIPTokenizer& tokenizer, const std::string& text) {
  const std::vector<int> tokens = tokensOf(tokenizer, text);
  TokenCount count = tokenCount("clipL", tokens.size(), clipChunk);
  count.chunks = 1;
  count.limit = clipChunk;
  if (tokens.size() > clipChunk) count.cut = tokenizer.decode({tokens.begin() + clipChunk, tokens.end()});
  return count;
}

inline std::vector<TokenCount> countTokens(FrozenCLIPEmbedderWithCustomWords& clip, const std::string& text) {
  size_t tokens = 0;
  size_t place = 0;  // with the padding that BREAK makes
  for (const auto& [part, weight] : parsePromptAttention(text)) {
    if (part == "BREAK" && weight == -1.0F) {
      place = (place + clipChunk - 1) / clipChunk * clipChunk;
      continue;
    }
    const size_t some = clip.tokenizer.encode(part).size();
    tokens += some;
    place += some;
  }
  TokenCount count = tokenCount("clipL", tokens, clipChunk);
  count.chunks = tokenCount("clipL", place, clipChunk).chunks;
  std::vector<TokenCount> counts{count};
  if (clip.text_model2) {
    counts.push_back(count);
    counts.back().encoder = "clipG";
  }
  if (sd_version_is_sd2(clip.version)) counts[0].encoder = "clipH";
  return counts;
}

inline std::vector<TokenCount> countTokens(Conditioner& conditioner, const std::string& text) {
  if (auto* clip = dynamic_cast<FrozenCLIPEmbedderWithCustomWords*>(&conditioner))
    return countTokens(*clip, text);
  std::vector<TokenCount> counts;
  if (auto* sd3 = dynamic_cast<SD3CLIPEmbedder*>(&conditioner)) {
    constexpr size_t t5Chunk = 76;
    if (sd3->clip_l)
      counts.push_back(tokenCount("clipL", tokensOf(sd3->clip_l_tokenizer, text).size(), clipChunk));
    if (sd3->clip_g)
      counts.push_back(tokenCount("clipG", tokensOf(sd3->clip_g_tokenizer, text).size(), clipChunk));
    if (sd3->t5) counts.push_back(tokenCount("t5xxl", tokensOf(sd3->t5_tokenizer, text).size(), t5Chunk));
  } else if (auto* flux = dynamic_cast<FluxCLIPEmbedder*>(&conditioner)) {
    if (flux->clip_l) counts.push_back(cutAtOneChunk(flux->clip_l_tokenizer, text));
    if (flux->t5)
      counts.push_back(tokenCount("t5xxl", tokensOf(flux->t5_tokenizer, text).size(), flux->chunk_len - 1));
  } else if (auto* t5 = dynamic_cast<T5CLIPEmbedder*>(&conditioner)) {
    if (t5->t5)
      counts.push_back(tokenCount("t5xxl", tokensOf(t5->t5_tokenizer, text).size(), t5->chunk_len - 1));
  } else if (auto* anima = dynamic_cast<AnimaConditioner*>(&conditioner)) {
    counts.push_back(tokenCount("llm", tokensOf(*anima->qwen_tokenizer, text).size(), 0));
    counts.push_back(tokenCount("t5xxl", tokensOf(anima->t5_tokenizer, text).size(), 0));
  } else if (auto* llm = dynamic_cast<LLMEmbedder*>(&conditioner)) {
    counts.push_back(tokenCount("llm", tokensOf(*llm->tokenizer, text).size(), 0));
  }
  return counts;
}

// SD3 reads as many chunks from each encoder as the longest list has; the engine leaves the others shorter.
inline SDCondition encodeSd3(SD3CLIPEmbedder& sd3, int threads, const ConditionerParams& request) {
  constexpr size_t chunk = 77;
  auto lists = sd3.tokenize(request.text, chunk, chunk, true);
  size_t longest = 0;
  for (const auto& list : lists) longest = std::max(longest, list.first.size());
  const auto extend = [&](size_t index, Tokenizer& tokenizer) {
    auto& [tokens, weights] = lists[index];
    while (tokens.size() < longest) {
      std::vector<int> empty;
      std::vector<float> ones;
      tokenizer.pad_tokens(empty, &ones, nullptr, chunk, chunk, true);
      tokens.insert(tokens.end(), empty.begin(), empty.end());
      weights.insert(weights.end(), ones.begin(), ones.end());
    }
  };
  if (sd3.clip_l) extend(0, sd3.clip_l_tokenizer);
  if (sd3.clip_g) extend(1, sd3.clip_g_tokenizer);
  if (sd3.t5) extend(2, sd3.t5_tokenizer);
  return sd3.get_learned_condition_common(threads, std::move(lists), request.clip_skip,
                                          request.zero_out_masked);
}

inline SDCondition encode(Conditioner& conditioner, int threads, const ConditionerParams& request) {
  if (auto* sd3 = dynamic_cast<SD3CLIPEmbedder*>(&conditioner)) return encodeSd3(*sd3, threads, request);
  return conditioner.get_learned_condition(threads, request);
}

}  // namespace upstream

std::vector<TokenCount> Model::countTokens(const std::string& prompt, Job& job) {
  upstream::ActiveJob active{job, Phase::Encode};
  return upstream::runOperation(active, "count the tokens of the prompt",
                                [&] { return upstream::countTokens(*impl_->sd.cond_stage_model, prompt); });
}

}  // namespace nd
