"""Finds words that nobody says: python tests/words.py, which ``make check`` runs.

The list grows as texts are rewritten; each word comes with what to write instead.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = {
    "anew": "again, or a verb with re-",
    "at hand": "available",
    "cumulated": "cumulative, accumulated",
    "likeliest": "most likely; the mode",
    "of one's own": "your own",
    "unasked": "without being asked",
}
ENDINGS = (".py", ".md", ".yaml", ".h", ".cpp", ".cu", ".cuh")


def main() -> int:
    """Prints each place; returns the exit code: 0 if there is none, else 1."""
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    pattern = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
    found = 0
    for name in listed:
        path = ROOT / name
        if not name.endswith(ENDINGS) or path == Path(__file__) or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in pattern.finditer(line):
                found += 1
                print(f"{name}:{number}: {match[1]}: write {WORDS[match[1].lower()]}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
