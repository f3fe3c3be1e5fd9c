"""What a test may read in a message: identifiers, which are no wording."""

from __future__ import annotations

import re


def names(error: BaseException | str, *identifiers: object) -> bool:
    """Returns whether a message has each of some identifiers or values, as a whole word.

    Args:
        error: What was raised, what a warning carries, or what was printed.
        identifiers: Names of operators, arguments, keys, files; or numbers and the like.
    """
    said = str(error)
    return all(re.search(rf"(?<!\w){re.escape(str(x))}(?!\w)", said) for x in identifiers)
