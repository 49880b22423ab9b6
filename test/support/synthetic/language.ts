import type { Tensors } from './tensors.js';

/** T5 v1.1 XXL's encoder with the names of transformers (the engine's t5.hpp, which fixes its size). */
export function t5xxl(root: Tensors): void {
  t5(root, 32_128, 1);
}

/** UMT5 XXL's: a larger vocabulary, and every block with position biases of its own. */
export function umt5xxl(root: Tensors): void {
  t5(root, 256_384, t5Layers);
}

const t5Layers = 24;

function t5(root: Tensors, vocabulary: number, biased: number): void {
  const [width, inner, heads] = [4096, 10_240, 64] as const;
  root.add('shared.weight', [vocabulary, width], { fanIn: width });
  for (let i = 0; i < t5Layers; i += 1) {
    const block = root.at(`encoder.block.${String(i)}`);
    for (const part of ['q', 'k', 'v', 'o']) block.linear(`layer.0.SelfAttention.${part}`, width, width, false);
    if (i < biased) block.add('layer.0.SelfAttention.relative_attention_bias.weight', [32, heads], { fanIn: heads });
    block.add('layer.0.layer_norm.weight', [width], { constant: 1 });
    block.linear('layer.1.DenseReluDense.wi_0', width, inner, false);
    block.linear('layer.1.DenseReluDense.wi_1', width, inner, false);
    block.linear('layer.1.DenseReluDense.wo', inner, width, false);
    block.add('layer.1.layer_norm.weight', [width], { constant: 1 });
  }
  root.add('encoder.final_layer_norm.weight', [width], { constant: 1 });
}

/** A decoder language model. The engine fixes heads by architecture and reads the other sizes from the tensors. */
export interface LlmConfig {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly inner: number;
  /** Every token of the tokenizer needs its row. */
  readonly vocabulary: number;
  readonly bias?: boolean;
  readonly headNorms?: boolean;
}

const head = 128;

/** Names of transformers, as the files given as `llm` have them. */
export function llm(root: Tensors, config: LlmConfig): void {
  const { width, inner, bias = false } = config;
  root.add('model.embed_tokens.weight', [config.vocabulary, width], { fanIn: width });
  for (let i = 0; i < config.layers; i += 1) {
    const layer = root.at(`model.layers.${String(i)}`);
    layer.linear('self_attn.q_proj', width, config.heads * head, bias);
    layer.linear('self_attn.k_proj', width, config.keyHeads * head, bias);
    layer.linear('self_attn.v_proj', width, config.keyHeads * head, bias);
    layer.linear('self_attn.o_proj', config.heads * head, width, false);
    if (config.headNorms === true) {
      layer.add('self_attn.q_norm.weight', [head], { constant: 1 });
      layer.add('self_attn.k_norm.weight', [head], { constant: 1 });
    }
    layer.linear('mlp.gate_proj', width, inner, false);
    layer.linear('mlp.up_proj', width, inner, false);
    layer.linear('mlp.down_proj', inner, width, false);
    layer.add('input_layernorm.weight', [width], { constant: 1 });
    layer.add('post_attention_layernorm.weight', [width], { constant: 1 });
  }
  root.add('model.norm.weight', [width], { constant: 1 });
}

const qwen3 = { keyHeads: 8, vocabulary: 151_936, headNorms: true } as const;
const mistral = { heads: 32, keyHeads: 8, vocabulary: 131_072 } as const;
const narrow = { width: 128, inner: 256 } as const;

/**
 * The language models the engine reads a prompt with. Layers are as few as the layers it takes its result from allow;
 * widths are those that the diffusion model fixes, else narrow.
 */
export const languageModels = {
  /** Qwen-Image (Qwen2.5-VL 7B, the text side): width fixed, the last layer counts. */
  qwen25vl: { width: 3584, inner: 256, layers: 2, heads: 28, keyHeads: 4, vocabulary: 152_064, bias: true },
  /** Z-Image (Qwen3 4B): width fixed, the result is layer 35's. */
  qwen3z: { ...qwen3, width: 2560, inner: 256, layers: 35, heads: 32 },
  /** FLUX.2 klein (Qwen3 4B or 8B): layers 9, 18 and 27. */
  qwen3klein: { ...qwen3, ...narrow, layers: 27, heads: 32 },
  /** Ovis-Image (Qwen3 1.7B), known to the engine by its 28 layers. */
  qwen3ovis: { ...qwen3, ...narrow, layers: 28, heads: 16 },
  /** Anima (Qwen3 0.6B): width fixed. */
  qwen3anima: { ...qwen3, width: 1024, inner: 256, layers: 28, heads: 16 },
  /** FLUX.2 dev (Mistral Small 3.2 24B): layers 10, 20 and 30. */
  mistral: { ...mistral, ...narrow, layers: 30 },
  /** ERNIE-Image (Ministral 3 3B): layer 25. */
  ministral: { ...mistral, ...narrow, layers: 25 },
} as const satisfies Record<string, LlmConfig>;
