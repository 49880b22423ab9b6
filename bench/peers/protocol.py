"""Answers lines of JSON on standard input with lines of JSON on standard output; README.md has the messages."""

import json
import os
import sys
import time
import traceback


class Unsupported(Exception):
    """The model or the request is of a kind that the peer does not know."""


def milliseconds(start):
    return (time.perf_counter() - start) * 1000


def serve(versions, load, draw):
    """`load(model)` returns what `draw(loaded, request)` takes; `draw` returns (uint8 pixels, times in milliseconds)."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    loaded = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if "load" in message:
                start = time.perf_counter()
                loaded = load(message["load"])
                answer = {"versions": versions, "load": milliseconds(start)}
            elif loaded is None:
                raise Unsupported("no model is loaded")
            else:
                pixels, times = draw(loaded, message["picture"])
                with open(message["output"], "wb") as file:
                    file.write(pixels.tobytes())
                answer = {"times": times}
        except Unsupported as error:
            answer = {"error": str(error), "kind": "unsupported"}
        except Exception as error:  # Told to the other side, which ends us.
            traceback.print_exc(limit=-5)
            answer = {"error": f"{type(error).__name__}: {error}"[:500], "kind": "failed"}
        print(json.dumps(answer), file=answers, flush=True)
