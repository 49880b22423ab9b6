"""Lift the narrow embedded model to diffusers modules of standard widths.

A second, independent statement of the rules in models/nano (the product lifts in TypeScript): channel c of the
narrow network becomes r equal channels c*r ... c*r+r-1. A layer repeats its output rows, reads the first of each
r equal inputs and has zeros for the others, so every wide activation equals its narrow one.
"""

import math

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel

from seeded import perturb

VOCABULARY = 49408
TEXT_LAYERS = 12
TAE_CHANNELS = 64
UNET_WIDTHS = (320, 640, 1280)


def read_narrow(path):
    """Return (tensors by name in float32, metadata by name) of the narrow safetensors file."""
    with safe_open(path, "pt") as file:
        tensors = {}
        for name in file.keys():
            tensor = file.get_tensor(name)
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
        return tensors, file.metadata()


def rounded(tensor):
    """The lifted files hold float16; the reference computes in float32 with those values."""
    return tensor.half().float()


def strip(tensors, prefix):
    return {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def repeat_rows(tensor, ratio):
    return tensor.repeat_interleave(ratio, dim=0)


def spread_columns(tensor, ratio):
    wide = tensor.new_zeros(tensor.shape[0], tensor.shape[1] * ratio, *tensor.shape[2:])
    wide[:, ::ratio] = tensor
    return wide


def spread_sinusoid(tensor, ratio):
    """First linear of the time embedding: input is [cosines, sines]; frequency i is the wide one's i*ratio."""
    cosines, sines = tensor.chunk(2, dim=1)
    return torch.cat([spread_columns(cosines, ratio), spread_columns(sines, ratio)], dim=1)


def lift_unet_tensor(name, tensor, ratio, text_ratio):
    if tensor.dim() > 1:
        if name == "time_embedding.linear_1.weight":
            tensor = spread_sinusoid(tensor, ratio)
        elif name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            tensor = spread_columns(tensor, text_ratio)
        elif name != "conv_in.weight":
            tensor = spread_columns(tensor, ratio)
    if not name.startswith("conv_out."):
        tensor = repeat_rows(tensor, ratio)
    # q.k sums ratio times more equal products while the scale is 1/sqrt(head width).
    return tensor * (1 / math.sqrt(ratio)) if ".to_q." in name else tensor


def make_unet(narrow, ratio, text_ratio):
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=UNET_WIDTHS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        mid_block_type=None,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=768,
        attention_head_dim=8,  # in SD1 this field is the number of heads
    )
    state = {name: rounded(lift_unet_tensor(name, tensor, ratio, text_ratio)) for name, tensor in narrow.items()}
    unet.load_state_dict(state, strict=True)
    return unet.eval()


def lift_text_tensor(name, tensor, ratio):
    if name.startswith("embeddings."):
        return tensor.repeat_interleave(ratio, dim=1)
    if tensor.dim() > 1:
        tensor = spread_columns(tensor, ratio)
    tensor = repeat_rows(tensor, ratio)
    return tensor * (1 / math.sqrt(ratio)) if ".q_proj." in name else tensor


def make_text_encoder(narrow, ratio):
    narrow = dict(narrow)
    ids = narrow.pop("embeddings.token_embedding.ids").long()
    rows = narrow.pop("embeddings.token_embedding.rows")
    table = rows.new_zeros(VOCABULARY, rows.shape[1])
    table[ids] = rows
    narrow["embeddings.token_embedding.weight"] = table

    encoder = CLIPTextModel(CLIPTextConfig(
        vocab_size=VOCABULARY, hidden_size=768, intermediate_size=3072, num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=12, max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5,
        bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
    ))
    lifted = {name: rounded(lift_text_tensor(name, tensor, ratio)) for name, tensor in narrow.items()}
    state = {}
    for name, value in encoder.state_dict().items():
        # transformers moved the encoder from `text_model.` to the top between versions; both names are the same tensor.
        key = name.removeprefix("text_model.")
        if key in lifted:
            state[name] = lifted.pop(key)
        elif key.startswith("encoder.layers."):
            # A layer the narrow encoder has not: everything zero, so it adds nothing to the residual.
            state[name] = torch.zeros_like(value)
        else:
            raise KeyError(f"the narrow model has no tensor for {name}")
    if lifted:
        raise KeyError(f"the text encoder has no place for {sorted(lifted)}")
    encoder.load_state_dict(state, strict=True)
    return encoder.eval()


def make_autoencoder(narrow):
    """No norm anywhere, so the narrow channels simply sit first among 64 and the others are zero."""
    autoencoder = AutoencoderTiny(
        encoder_block_out_channels=(TAE_CHANNELS,) * 4, decoder_block_out_channels=(TAE_CHANNELS,) * 4)
    state = {}
    for name, value in autoencoder.state_dict().items():
        wide = torch.zeros_like(value)
        wide[tuple(slice(0, size) for size in narrow[name].shape)] = narrow[name]
        state[name] = rounded(wide)
    if set(state) != set(narrow):
        raise KeyError(f"the autoencoder has no place for {sorted(set(narrow) - set(state))}")
    autoencoder.load_state_dict(state, strict=True)
    return autoencoder.eval()


def load_models(path, perturbation=None):
    """Return (text encoder, UNet, autoencoder), float32 modules with float16 values.

    With a perturbation ({"seed", "amount"}) the matrices and convolutions of the narrow UNet are changed before lifting.
    """
    tensors, metadata = read_narrow(path)
    if perturbation is not None:
        seed, amount = perturbation["seed"], perturbation["amount"]
        tensors = {name: perturb(seed, amount, name, tensor) if name.startswith("unet.") and tensor.dim() > 1 else tensor
                   for name, tensor in tensors.items()}
    ratio, text_ratio = int(metadata["unet_ratio"]), int(metadata["text_ratio"])
    return (
        make_text_encoder(strip(tensors, "text_encoder."), text_ratio),
        make_unet(strip(tensors, "unet."), ratio, text_ratio),
        make_autoencoder(strip(tensors, "vae.")),
    )
