"""Modules of diffusers and transformers with the weights of an SD 1.x single file, without a hub."""

import re
from types import SimpleNamespace

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from clip_vocabulary import make_tokenizer
from protocol import Unsupported

UNET = "model.diffusion_model."
TEXT = "cond_stage_model.transformer."
VAE_SCALE = 0.18215


def read(path):
    """Weights in float32: what CPUs compute with. bfloat16 and float16 become the same numbers."""
    if not path.endswith(".safetensors"):
        raise Unsupported("the Python peers read safetensors only")
    return {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}


def without_gaps(tensors):
    """
    Small UNets leave numbers of blocks out and give an upsampler a number of its own. diffusers' converter counts on
    neither: blocks are numbered anew, and an upsampler becomes a part of the block before it.
    """
    result = dict(tensors)
    for part in ("input_blocks", "output_blocks"):
        pattern = re.compile(rf"^({re.escape(UNET)}{part}\.)(\d+)\.(.*)$")
        found = {name: match for name in result if (match := pattern.match(name))}
        inner = {}
        for match in found.values():
            inner.setdefault(int(match[2]), []).append(match[3])
        lone = {number for number, names in inner.items() if all(re.match(r"\d\.conv\.", name) for name in names)}
        places = {number: place for place, number in enumerate(sorted(set(inner) - lone))}
        renamed = {}
        for name, value in result.items():
            if (match := found.get(name)) is not None:
                number = int(match[2])
                if number in lone:
                    name = f"{match[1]}{places[number - 1]}.2.{match[3][2:]}"
                else:
                    name = f"{match[1]}{places[number]}.{match[3]}"
            renamed[name] = value
        result = renamed
    return result


def unet_config(tensors):
    common = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
    if f"{UNET}middle_block.0.in_layers.0.weight" not in tensors:
        return common | {
            "layers_per_block": 1,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("CrossAttnDownBlock2D",) * 3,
            "mid_block_type": None,
            "up_block_types": ("CrossAttnUpBlock2D",) * 3,
        }
    return common | {
        "layers_per_block": 2,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    }


def make_unet(tensors):
    if tensors[f"{UNET}input_blocks.0.0.weight"].shape[1] != 4:
        raise Unsupported("the peer knows no models that read a picture beside the latent")
    config = unet_config(tensors)
    unet = UNet2DConditionModel(**config)
    unet.load_state_dict(convert_ldm_unet_checkpoint(without_gaps(tensors), config), strict=True)
    return unet.eval()


def make_text_encoder(tensors):
    encoder = CLIPTextModel(CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        max_position_embeddings=77, hidden_act="quick_gelu", bos_token_id=49406, eos_token_id=49407,
        pad_token_id=49407))
    given = {name.removeprefix(TEXT).removeprefix("text_model."): value
             for name, value in tensors.items() if name.startswith(TEXT)}
    # transformers moved the encoder from `text_model.` to the top between versions.
    state = {name: given[name.removeprefix("text_model.")] for name in encoder.state_dict()}
    encoder.load_state_dict(state, strict=True)
    return encoder.eval()


def make_decoder(tensors, taesd):
    """Return a function from a latent to a picture in [-1, 1]."""
    if taesd is not None:
        tiny = AutoencoderTiny()
        tiny.load_state_dict(read(taesd), strict=True)
        return tiny.eval().decoder
    kl = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512)
    kl.load_state_dict(convert_ldm_vae_checkpoint(tensors, kl.config), strict=True)
    return Decoder(kl.eval())


class Decoder(torch.nn.Module):
    """The VAE's decoder with the scale of the latent undone."""

    def __init__(self, kl):
        super().__init__()
        self.kl = kl

    def forward(self, latent):
        return self.kl.decode(latent / VAE_SCALE).sample


def load_modules(model):
    """tokenizer, text_encoder, unet, decoder of {"checkpoint", "taesd", "threads"}; threads 0: torch's own choice."""
    if model["threads"] > 0:
        torch.set_num_threads(model["threads"])
    tensors = read(model["checkpoint"])
    if f"{UNET}input_blocks.0.0.weight" not in tensors or not any(name.startswith(TEXT) for name in tensors):
        raise Unsupported("the Python peers know SD 1.x checkpoints in one file only")
    return SimpleNamespace(
        tokenizer=make_tokenizer(),
        text_encoder=make_text_encoder(tensors),
        unet=make_unet(tensors),
        decoder=make_decoder(tensors, model.get("taesd")),
    )
