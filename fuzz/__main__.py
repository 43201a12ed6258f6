"""Fuzz one target: `python3 -m fuzz TARGET [SECONDS]`; it needs the library of `[fuzz]`.

It starts from fuzz/seeds/TARGET and stores nothing but an input that breaks the target, in the current folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hubbub", "wcwidth", "fuzz"]):
    from fuzz.targets import TARGETS
    from hubbub.protocol import COLORS, COMMANDS, EVENTS

SECONDS = 600
INPUT_BYTES = 512  # longer inputs only repeat themselves
# Coverage alone does not lead the fuzzer to whole words, so it gets a dictionary.
WORDS = [*(f"/{word} " for word in (*COMMANDS, *EVENTS)), *COLORS, "1 2 ", "alice ", "lobby "]


def main() -> None:
    """Run until the time is over or an input breaks the target."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("target", choices=TARGETS)
    options.add_argument("seconds", type=int, nargs="?", default=SECONDS)
    given = options.parse_args()
    seeds = Path(__file__).with_name("seeds") / given.target
    with tempfile.TemporaryDirectory() as corpus, tempfile.NamedTemporaryFile("w", suffix=".dict") as words:
        words.writelines(f'"{word}"\n' for word in WORDS)
        words.flush()
        limits = [f"-max_total_time={given.seconds}", f"-max_len={INPUT_BYTES}", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *limits, f"-dict={words.name}", corpus, str(seeds)], TARGETS[given.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
