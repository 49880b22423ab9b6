"""Which of two measures is worse, the table of the card, and where a training writes."""

import contextlib
import copy
import io
import json
import math
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from .. import __main__ as command
from .. import compare
from ..card import ROWS, table
from ..sources import NANO, TRAIN, embedded_path


def measured(**changes: object) -> dict:
    """A measure that meets every goal; `changes` by path, parts joined by two underscores."""
    result: dict = {
        "file": "made-up.safetensors",
        **{"concepts": 210, "seeds": 4, "steps": 12},
        "size128": {"top1": {"latent": 0.98, "hash": 0.97}, "seedPsnr": 23.0},
        "size64": {"top1": {"latent": 0.98, "hash": 0.92}},
        "size256": {"strength03": {"latent": 0.98, "hash": 0.95}},
        "autoencoderPsnr": {"ownConcepts": {"mean": 30.2}, "unseen": {"mean": 28.0}},
        "img2imgHalf": {"overlap": 0.6},
        "pairs": {"drawn": 100, "one": 1.0, "both": 0.9, "placed": 0.9},
    }
    for path, value in changes.items():
        *folders, last = path.split("__")
        place = result
        for folder in folders:
            place = place[folder]
        place[last] = value
    result["size256"] = {"strength0.3": result["size256"]["strength03"]}
    return result


def worse(new: dict, old: dict) -> list[str]:
    """Names of the figures that are worse."""
    return [figure.name for figure, verdict in compare.compare(new, old) if verdict == "worse"]


class Compare(unittest.TestCase):
    def test_a_file_is_not_worse_than_itself(self) -> None:
        verdicts = compare.compare(measured(), measured())
        self.assertEqual({verdict for _, verdict in verdicts}, {"same"})
        self.assertFalse(compare.is_worse(verdicts))

    def test_each_figure_can_be_worse_and_better(self) -> None:
        changes = {
            "concepts": (205, 220),
            "size128__top1__latent": (0.9, 1.0),
            "size128__top1__hash": (0.9, 1.0),
            "size64__top1__latent": (0.9, 1.0),
            "size64__top1__hash": (0.8, 1.0),
            "size256__strength03__latent": (0.9, 1.0 + 0.01),
            "size256__strength03__hash": (0.9, 1.0),
            "autoencoderPsnr__ownConcepts__mean": (28.0, 31.0),
            "autoencoderPsnr__unseen__mean": (27.0, 29.0),
            "size128__seedPsnr": (26.0, 20.0),
            "img2imgHalf__overlap": (0.3, 0.8),
            "pairs__one": (0.8, 1.1),
            "pairs__both": (0.1, 1.0),
            "pairs__placed": (0.1, 1.0),
        }
        seen = set()
        for path, (low, high) in changes.items():
            self.assertTrue(worse(measured(**{path: low}), measured()), path)
            self.assertEqual(worse(measured(**{path: high}), measured()), [], path)
            seen |= set(worse(measured(**{path: low}), measured()))
        self.assertEqual(seen, {figure.name for figure in compare.FIGURES})

    def test_the_deciding_figure_has_no_margin(self) -> None:
        self.assertEqual(
            worse(measured(size128__top1__hash=0.9699), measured()), ["concepts drawn as their own picture, 128x128"]
        )
        self.assertEqual(worse(measured(size64__top1__hash=0.9101), measured()), [])

    def test_more_concepts_may_have_a_smaller_share(self) -> None:
        self.assertEqual(worse(measured(concepts=300, size128__top1__hash=0.962), measured()), [])
        self.assertTrue(worse(measured(concepts=300, size128__top1__hash=0.8), measured()))

    def test_a_goal_once_met_stays_met_whatever_the_margin(self) -> None:
        name = "autoencoder on its own concepts, dB"
        self.assertEqual(worse(measured(autoencoderPsnr__ownConcepts__mean=29.9), measured()), [name])
        below = measured(autoencoderPsnr__ownConcepts__mean=29.9)
        self.assertEqual(worse(measured(autoencoderPsnr__ownConcepts__mean=29.6), below), [])

    def test_a_figure_that_is_not_a_number_is_worse(self) -> None:
        self.assertEqual(worse(measured(img2imgHalf__overlap=math.nan), measured()), ["img2img at 0.5: overlap"])

    def test_what_was_measured_otherwise_is_not_compared(self) -> None:
        for other in (measured(pairs__drawn=24, pairs__both=0.1), measured(pairs={}), measured(pairs={"both": 0.1})):
            verdicts = {figure.name: verdict for figure, verdict in compare.compare(other, measured())}
            self.assertEqual(verdicts["two names: both recognised"], "-")
        with self.assertRaisesRegex(ValueError, "steps differ"):
            compare.compare(measured(steps=20), measured())
        with self.assertRaisesRegex(ValueError, "no pictures of 128x128"):
            compare.compare(measured(size128={}), measured())

    def test_the_measure_of_the_embedded_model_has_what_decides(self) -> None:
        kept = json.loads((TRAIN / f"measure-{embedded_path().stem}.json").read_text(encoding="utf-8"))
        self.assertFalse(compare.is_worse(compare.compare(kept, kept)))
        self.assertTrue(compare.is_worse(compare.compare(kept | {"concepts": kept["concepts"] - 1}, kept)))


class Commands(unittest.TestCase):
    def ends_with(self, new: dict, old: dict) -> tuple[object, str]:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as said:
            paths = [Path(folder) / name for name in ("new.json", "old.json")]
            for path, content in zip(paths, (new, old), strict=True):
                path.write_text(json.dumps(content), encoding="utf-8")
            with (
                mock.patch("sys.argv", ["compare", *map(str, paths)]),
                contextlib.redirect_stderr(said),
                self.assertRaises(SystemExit) as end,
            ):
                compare.main()
        return end.exception.code, said.getvalue()

    def test_the_exit_code_tells_which_is_worse(self) -> None:
        code, said = self.ends_with(measured(), measured())
        self.assertEqual(code, 0)
        self.assertIn("not worse", said)
        code, said = self.ends_with(measured(pairs__both=0.1), measured())
        self.assertEqual(code, 1)
        self.assertRegex(said, r"worse +0\.1 +0\.9 +two names: both recognised")
        code, said = self.ends_with(measured(seeds=1), measured())
        self.assertEqual(code, 2)
        self.assertIn("seeds differ", said)

    def test_a_training_does_not_write_over_the_embedded_file(self) -> None:
        with mock.patch("sys.argv", ["train", "--state", "elsewhere"]):
            self.assertEqual(command.parse().out, Path("elsewhere/narrow.safetensors"))
        with mock.patch("sys.argv", ["train"]):
            self.assertEqual(command.parse().out.parent, TRAIN / ".state")
        with mock.patch("sys.argv", ["train", "--out", "mine.safetensors"]):
            self.assertEqual(command.parse().out, Path("mine.safetensors"))

    def test_a_training_tells_how_it_stands_against_the_embedded_model(self) -> None:
        kept = json.loads((TRAIN / f"measure-{embedded_path().stem}.json").read_text(encoding="utf-8"))
        self.assertIn("is not worse than", command.against_embedded(copy.deepcopy(kept)))
        self.assertIn("not compared", command.against_embedded(kept | {"steps": 3}))
        with mock.patch.object(command, "embedded_path", return_value=NANO / "nobody.safetensors"):
            self.assertIn("not compared", command.against_embedded(kept))


class Card(unittest.TestCase):
    def test_has_a_row_for_every_figure_and_a_column_for_every_file(self) -> None:
        first: dict = {"file": "one.safetensors"}
        for number, (_, path) in enumerate(ROWS):
            place = first
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = number / 1000
        lines = [
            [cell.strip() for cell in line.split("|")[1:-1]] for line in table([first, {"file": "two"}]).split("\n")
        ]
        self.assertEqual(lines[0], ["", "one", "two"])
        self.assertEqual(lines[1], ["---"] * 3)
        self.assertEqual(lines[2:], [[name, f"{n / 1000:.3g}", "-"] for n, (name, _) in enumerate(ROWS)])

    def test_the_model_card_has_the_figures_of_the_embedded_models_measure(self) -> None:
        name = embedded_path().stem
        kept = json.loads((TRAIN / f"measure-{name}.json").read_text(encoding="utf-8"))
        card = (NANO / "README.md").read_text(encoding="utf-8").split("\n## What was measured\n")[1].split("\n## ")[0]
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in card.split("\n") if row.startswith("|")]
        self.assertTrue(rows, "the card has no table")
        column = rows[0].index(name)
        expected = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table([kept]).split("\n")]
        self.assertEqual([[row[0], row[column]] for row in rows], expected)


if __name__ == "__main__":
    unittest.main()
