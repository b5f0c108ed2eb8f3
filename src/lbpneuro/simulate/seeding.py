"""Random numbers that depend on who, when and what, never on how many processes share the work."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *, participant: int, session: int = 0, what: str) -> np.random.Generator:
    """Return the generator of one thing about one participant and session (session 0: what lasts).

    The same participant is drawn in a cohort of any size, and adding a new ``what`` leaves the others as they are.
    """
    key = (participant, session, zlib.crc32(what.encode()))
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))
