"""What a check says of a file or a folder: one finding for each rule, and whether all of it is fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hdrgen.qc.rules import Rule

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What one rule says; `way_out` is empty where nothing needs doing."""

    rule: str
    verdict: Status
    why: str
    way_out: str = ""


@dataclass(frozen=True)
class CheckReport:
    """The findings on one file. Warnings are for a person to decide; it is fit when no rule fails.

    `notes` say which of several pictures in the file was judged, and what the file holds beside it.
    """

    path: Path
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def fit(self) -> bool:
        """Whether no rule fails."""
        return all(finding.verdict != "fail" for finding in self.findings)


def broken(rule: Rule, name: str, why: str, way_out: str) -> Finding:
    """Return the finding on a rule that is broken, as grave as the rule says."""
    return Finding(name, "fail" if rule.breach == "fail" else "warn", why, way_out)
