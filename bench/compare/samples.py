"""Samples of several subjects, which are measured in turn, and their medians and ratios."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

# Figures by name, each with its unit in it: cpu_us, p50_us, per_second, memory_mb …
Sample = dict[str, float]


class Subject(Protocol):
    """A subject of a row of measurements."""

    @property
    def name(self) -> str:
        """The name of the subject in the results."""

    def sample(self) -> Sample:
        """Measure once, and return the figures."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The samples of one workload: ``samples[subject][round]``. ``missing`` are the subjects without samples."""

    name: str
    title: str
    samples: Mapping[str, Sequence[Sample]]
    missing: Mapping[str, str] = field(default_factory=dict)

    def figure(self, subject: str, name: str) -> float | None:
        """Return the median of a figure, or None if it was not measured."""
        values = [sample[name] for sample in self.samples.get(subject, ()) if name in sample]
        return median(values) if values else None

    def ratio(self, name: str, subject: str, other: str) -> float | None:
        """Return the median of the ratios of ``subject`` to ``other`` in each round. None if one was not measured."""
        pairs = zip(self.samples.get(subject, ()), self.samples.get(other, ()), strict=False)
        ratios = [mine[name] / its[name] for mine, its in pairs if name in mine and its.get(name)]
        return median(ratios) if ratios else None

    def figures(self) -> list[str]:
        """Return the names of all figures, in the order in which they were measured."""
        return list(dict.fromkeys(name for each in self.samples.values() for sample in each for name in sample))


def take_turns(subjects: Sequence[Subject], rounds: int) -> dict[str, list[Sample]]:
    """Return ``rounds`` samples of each subject. In each round, the subjects are measured one after the other."""
    samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
    for number in range(rounds):
        # The order changes, so that no subject always follows the same one.
        turn = number % len(subjects) if subjects else 0
        for subject in [*subjects[turn:], *subjects[:turn]]:
            samples[subject.name].append(subject.sample())
    return samples


def say(text: str) -> None:
    """Write a line about the progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
