"""What was measured: samples of several subjects, taken in turns, and what can be said of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

# Figures by name, each with its unit in it: cpu_us, p50_us, per_second, memory_mb …
Sample = dict[str, float]


class Subject(Protocol):
    """What takes its turn in a row of measurements."""

    @property
    def name(self) -> str:
        """Its name in the results."""

    def sample(self) -> Sample:
        """Measure once."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One workload's samples: ``samples[subject][round]``. ``missing`` names the subjects that there are none of."""

    name: str
    title: str
    samples: Mapping[str, Sequence[Sample]]
    missing: Mapping[str, str] = field(default_factory=dict)

    def figure(self, subject: str, name: str) -> float | None:
        """The median of a figure; None where it was not measured."""
        values = [sample[name] for sample in self.samples.get(subject, ()) if name in sample]
        return median(values) if values else None

    def ratio(self, name: str, subject: str, other: str) -> float | None:
        """The median of the ratios of ``subject`` to ``other`` within each round; None where one was not measured."""
        pairs = zip(self.samples.get(subject, ()), self.samples.get(other, ()), strict=False)
        ratios = [mine[name] / its[name] for mine, its in pairs if name in mine and its.get(name)]
        return median(ratios) if ratios else None

    def figures(self) -> list[str]:
        """The names of all figures, in the order in which they were measured."""
        return list(dict.fromkeys(name for each in self.samples.values() for sample in each for name in sample))


def take_turns(subjects: Sequence[Subject], rounds: int) -> dict[str, list[Sample]]:
    """``rounds`` samples of each subject, one after the other within each round."""
    samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
    for number in range(rounds):
        # Nobody always follows the same one.
        turn = number % len(subjects) if subjects else 0
        for subject in [*subjects[turn:], *subjects[:turn]]:
            samples[subject.name].append(subject.sample())
    return samples


def say(text: str) -> None:
    """Tell whoever waits what goes on."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
