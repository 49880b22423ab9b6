"""OpenVINO's Python package on the CPU: the modules of diffusers converted, compiled when a size first comes."""

from types import SimpleNamespace

import openvino
import torch

from clip_vocabulary import LENGTH, prompt_ids
from euler import draw
from protocol import serve
from sd1 import load_modules


class TextEncoder(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, ids):
        return self.encoder(ids).last_hidden_state


class Unet(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, latents, time, contexts):
        return self.unet(latents, time, encoder_hidden_states=contexts).sample


class Networks:
    """Compiled networks by the shapes of their inputs: OpenVINO is fastest with shapes that are fixed."""

    def __init__(self, threads):
        self.core = openvino.Core()
        # The plugin computes in bf16 by itself where the processor has it; ours computes in f32.
        self.settings = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads > 0:
            self.settings["INFERENCE_NUM_THREADS"] = threads
        self.compiled = {}

    def __call__(self, name, module, *inputs):
        key = (name, *(tuple(value.shape) for value in inputs))
        if key not in self.compiled:
            shapes = [openvino.PartialShape(list(value.shape)) for value in inputs]
            model = openvino.convert_model(module, example_input=inputs, input=shapes)
            self.compiled[key] = self.core.compile_model(model, "CPU", self.settings)
        # A copy: the next evaluation writes into the same memory.
        return torch.from_numpy(self.compiled[key]([value.numpy() for value in inputs])[0].copy())


@torch.no_grad()
def load(model):
    modules = load_modules(model)
    loaded = SimpleNamespace(
        networks=Networks(model["threads"]), tokenizer=modules.tokenizer, text=TextEncoder(modules.text_encoder),
        unet=Unet(modules.unet), decoder=modules.decoder)
    # The one network whose shape is known already.
    loaded.networks("text", loaded.text, torch.zeros((1, LENGTH), dtype=torch.int64))
    return loaded


@torch.no_grad()
def picture(loaded, request):
    networks = loaded.networks
    return draw(
        request,
        lambda prompt: networks("text", loaded.text, prompt_ids(loaded.tokenizer, prompt)),
        lambda latents, time, contexts: networks("unet", loaded.unet, latents, time.reshape(1).float(), contexts),
        lambda latent: networks("decoder", loaded.decoder, latent),
    )


if __name__ == "__main__":
    serve({"openvino": openvino.__version__, "torch": torch.__version__, "device": "CPU"}, load, picture)
