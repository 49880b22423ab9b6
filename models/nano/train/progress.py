"""State of a stage on disk, and the log of its losses."""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: a killed training finds the state before."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_state(path: Path, belongs_to: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The state saved last, if any. It must have been saved for the same (`belongs_to`, kept in it under that name)."""
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    saved = state.get("belongs_to", {})
    other = [name for name, value in (belongs_to or {}).items() if saved.get(name) != value]
    if other:
        raise ValueError(f"{path} is of a training with another {', '.join(other)}: use another --state, or remove it")
    return state


class Log:
    """Lines of JSON, one per report; the wall clock and this process's CPU time are beside every entry."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, stage: str, **values: float) -> None:
        """Append one line and show it."""
        entry = {"stage": stage, "time": round(time.time(), 1), "cpu": round(time.process_time(), 1)} | {
            name: round(value, 5) for name, value in values.items()
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        print(json.dumps(entry), flush=True)
