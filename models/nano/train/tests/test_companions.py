"""Companions: the lifted files do in the lifted network what the narrow ones do in the narrow network."""

import sys
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..companions import hypernetwork, inversion, lora
from ..narrow import load_narrow
from ..networks import TEXT_RATIO, UNET_RATIO
from ..sources import ROOT, embedded_path

NARROW = embedded_path()


def lifted_networks() -> tuple[nn.Module, nn.Module]:
    """(text encoder, UNet) of standard widths, by the parity tests' own statement of the rules."""
    sys.path.insert(0, str(ROOT / "test" / "parity" / "diffusers"))
    import lift

    text_encoder, unet, _ = lift.load_models(NARROW)
    return text_encoder, unet


def diffusers_names(unet: nn.Module) -> dict[str, str]:
    """Layer name in diffusers by name in the LoRA file."""
    return {
        lora.kohya_name(name): name
        for name, _ in unet.named_modules()
        if lora.LINEAR.fullmatch(name) and is_linear(unet, name)
    }


def is_linear(unet: nn.Module, name: str) -> bool:
    return isinstance(unet.get_submodule(name), nn.Linear)


class Companions(unittest.TestCase):
    """One lifted UNet for all (1.3 GB)."""

    @classmethod
    def setUpClass(cls) -> None:
        torch.manual_seed(1)
        cls.text_encoder, cls.unet = lifted_networks()
        cls.narrow = load_narrow(NARROW)
        cls.latent = torch.randn(1, 4, 8, 8)
        cls.context = torch.randn(1, 77, 96)
        cls.folder = Path(tempfile.mkdtemp())

    def draw(self, unet: nn.Module, context: Tensor) -> Tensor:
        with torch.no_grad():
            return unet(self.latent, 400, encoder_hidden_states=context).sample

    def lifted(self) -> Tensor:
        return self.draw(self.unet, self.context.repeat_interleave(TEXT_RATIO, -1))

    def assert_close(self, narrow: Tensor, lifted: Tensor) -> None:
        """The weights of both are fp16, so a thousandth of the deviation is what rounding leaves."""
        self.assertLess((narrow - lifted).abs().max().item(), 3e-3 * narrow.std().item())

    def test_lora(self) -> None:
        plain = self.draw(self.narrow.unet, self.context)
        adapters, hooks = lora.attach(self.narrow.unet)
        for adapter in adapters.values():
            nn.init.normal_(adapter.up, std=0.1)
            for part in (adapter.down, adapter.up):
                part.data = part.data.half().float()
        narrow = self.draw(self.narrow.unet, self.context)
        for hook in hooks:
            hook.remove()
        lora.save_lora(self.folder / "lora.safetensors", adapters, "test")
        file, before = load_file(self.folder / "lora.safetensors"), {}
        names = diffusers_names(self.unet)
        self.assertEqual({key.split(".")[0] for key in file}, set(names))
        for base, name in names.items():
            weight = self.unet.get_submodule(name).weight
            before[name] = weight.data.clone()
            up, down = file[f"{base}.lora_up.weight"].float(), file[f"{base}.lora_down.weight"].float()
            weight.data += up @ down * (file[f"{base}.alpha"].item() / len(down))
        wide = self.lifted()
        for name, data in before.items():
            self.unet.get_submodule(name).weight.data = data
        self.assertGreater((narrow - plain).abs().max().item(), 0.1 * plain.std().item())
        self.assert_close(narrow, wide)

    def test_hypernetwork(self) -> None:
        plain = self.draw(self.narrow.unet, self.context)
        nets, hooks = hypernetwork.attach(self.narrow.unet)
        for net in nets:
            nn.init.normal_(net[2].weight, std=0.3)
        narrow = self.draw(self.narrow.unet, self.context)
        for hook in hooks:
            hook.remove()
        hypernetwork.save_hypernetwork(self.folder / "h.pt", nets, "test", 1)
        file = torch.load(self.folder / "h.pt", weights_only=True)
        states = file[768]
        wide_nets = []
        for state in states:
            net = nn.Sequential(nn.Linear(768, 48), nn.ReLU(), nn.Linear(48, 768))
            net.load_state_dict({name.removeprefix("linear."): value for name, value in state.items()})
            wide_nets.append(net)
        hooks = [
            layer.register_forward_pre_hook(lambda _, args, n=net: (args[0] + n(args[0]),))
            for name, layer in self.unet.named_modules()
            for ending, net in zip(("attn2.to_k", "attn2.to_v"), wide_nets, strict=True)
            if name.endswith(ending)
        ]
        wide = self.lifted()
        for hook in hooks:
            hook.remove()
        self.assertGreater((narrow - plain).abs().max().item(), 0.05 * plain.std().item())
        self.assert_close(narrow, wide)

    def test_embedding(self) -> None:
        vector = torch.randn(96)
        inversion.save_embedding(self.folder / "e.safetensors", torch.stack([vector, -vector]))
        wide = load_file(self.folder / "e.safetensors")["emb_params"]
        self.assertEqual(list(wide.shape), [2, 768])
        token, ids = 256, torch.tensor([[49406, 256, *[49407] * 75]])
        outputs = []
        for encoder, row in ((self.narrow.text_encoder, vector), (self.text_encoder, wide[0])):
            table = encoder.get_input_embeddings().weight
            before = table.data[token].clone()
            table.data[token] = row
            with torch.no_grad():
                outputs.append(encoder(ids).last_hidden_state)
            table.data[token] = before
        self.assert_close(outputs[0].repeat_interleave(TEXT_RATIO, -1), outputs[1])
        self.assertEqual(UNET_RATIO, 5)


if __name__ == "__main__":
    unittest.main()
