"""What verify has to say about a store: findings, and what was compared with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

ERROR, WARNING, NOTE = "error", "warning", "note"
"""Data is lost or not what was written; a cache or a mode is wrong, which heals or is easily
healed; nothing is wrong, but worth knowing."""


class Finding(NamedTuple):
    """One thing that was found. `subject` is where, `next_step` what to do about it."""

    severity: str
    subject: str
    what: str
    next_step: str = ""


class Pin(NamedTuple):
    """What somebody wrote down earlier about the log after entry `seq`: the chain or the state
    digest, 16 bytes, as `walvec info` shows both."""

    seq: int
    digest: bytes


@dataclass
class Report:
    """The result of verify. Digests are in hex; they and `state_seq` are those of the state before
    the first damaged entry, where there is one. `compared` says what was held against what."""

    path: str
    store_id: str = ""
    last_seq: int = 0
    entries: int = 0
    rows: int = 0
    payload_bytes: int = 0
    log_bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    chain: str = ""
    state_seq: int = 0
    state_digest: str = ""
    compared: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning; notes do not count."""
        return all(finding.severity == NOTE for finding in self.findings)

    def to_data(self) -> dict[str, Any]:
        findings = [finding._asdict() for finding in self.findings]
        return {"ok": self.ok, **asdict(self), "findings": findings}


Emit = Callable[[Finding], None]
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""
