"""The language of the program and its docs: phrases that a reader needs twice, and that plain English never needs.

``docs/glossary.md`` has the terms. Single words that also have a good use are left to the reviewer.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
TEXTS = sorted(
    path
    for pattern in (
        *("README.md", "CONTRIBUTING.md", "Makefile", "docs/**/*.md", "examples/*/*.md", "adapter/**/*.py"),
        *("bench/*.py", "deploy/build-*", "deploy/sam/*.yaml", "fuzz/*.py"),
    )
    for path in REPOSITORY.glob(pattern)
)
# Each phrase with what to write instead.
PHRASES = {
    r"\b(?:nobody|somebody|anybody|whoever)\b": "name the subject: the client, the app, a process",
    r"\btold\b": "logged, reported, informed",
    r"\bso many\b": "that many, or the number",
    r"\bof which\b": "a sentence of its own",
    r"\bthat there (?:is|are)\b": "name what it is",
    r"(?<!here )\bis no (?!longer\b|more\b|less\b|slower\b|faster\b|larger\b)": "is not a",
    r"\b(?:in vain|be it|for whom|as it were)\b": "plain words",
    r"\bway out\b": "hint, or what to do",
}


@pytest.mark.parametrize("phrase", PHRASES)
def test_the_texts_are_free_of(phrase: str) -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(phrase, line, re.IGNORECASE)
    ]
    assert not found, f"write instead: {PHRASES[phrase]}"


def test_the_phrases_are_found_in_a_text_that_has_them() -> None:
    """A pattern with a slip would never find anything."""
    text = "Nobody told it so many things, of which that there is one is no list, be it a way out."
    assert all(re.search(phrase, text, re.IGNORECASE) for phrase in PHRASES)
