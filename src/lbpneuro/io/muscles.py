"""The names of muscles that lbpneuro knows: one word each, and what laboratories write for it."""

from __future__ import annotations

import re
from collections.abc import Mapping

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "multifidus_deep": ("deep multifidus", "DM"),
    "multifidus_superficial": ("superficial multifidus", "SM"),
    "multifidus": ("lumbar multifidus", "MF", "LM"),
    "longissimus": ("longissimus erector spinae", "longissimus thoracis", "LES"),
    "iliocostalis": ("iliocostalis lumborum",),
    "erector_spinae_L3": ("ES L3", "lumbar erector spinae L3", "paraspinal L3", "paraspinals L3"),
    "erector_spinae_L5": ("ES L5", "lumbar erector spinae L5", "paraspinal L5", "paraspinals L5"),
    "erector_spinae": ("ES", "lumbar erector spinae", "paraspinal", "paraspinals", "lumbar paraspinals"),
    "TrA": ("transversus abdominis", "transverse abdominis", "TA abdominis"),
    "obliquus_internus": ("internal oblique", "OI"),
    "obliquus_externus": ("external oblique", "OE"),
    "rectus_abdominis": ("RA",),
    "gluteus_maximus": ("GMax",),
    "gluteus_medius": ("GMed",),
    "quadriceps": ("quadriceps femoris", "QF"),
    "rectus_femoris": ("RF",),
    "vastus_lateralis": ("VL",),
    "vastus_medialis": ("VM",),
    "biceps_femoris": ("BF",),
    "semitendinosus": ("ST",),
    "tibialis_anterior": ("TA",),
    "soleus": ("SOL",),
    "gastrocnemius": ("medial gastrocnemius", "gastrocnemius medialis"),
    "abductor_hallucis": ("AH",),
    "trapezius_upper": ("upper trapezius", "UT"),
    "splenius_capitis": (),
    "sternocleidomastoid": ("SCM",),
    "deltoid": ("deltoideus",),
    "biceps_brachii": ("BB", "biceps"),
    "triceps_brachii": ("TB", "triceps"),
    "ECR": ("extensor carpi radialis",),
    "FCR": ("flexor carpi radialis",),
    "EDC": ("extensor digitorum communis", "extensor digitorum"),
    "FDI": ("first dorsal interosseous", "first dorsal interosseus", "1st dorsal interosseous", "1DI"),
    "APB": ("abductor pollicis brevis",),
    "ADM": ("abductor digiti minimi",),
}
"""Name of a muscle: other names for it. A name that does not say which part is meant has its own entry."""

SIDES = {"right": "R", "left": "L", "r": "R", "l": "L"}
EMPTY_WORDS = {"muscle", "muscles", "musculus", "m", "the", "fibres", "fibers", "of"}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text.casefold()) if word]


def _key(text: str) -> str:
    return " ".join(word for word in _words(text) if word not in SIDES and word not in EMPTY_WORDS)


KNOWN = {_key(name): muscle for muscle, others in VOCABULARY.items() for name in (muscle, *others)}


def known_muscle(text: str) -> str | None:
    """Return the muscle of the vocabulary that ``text`` names, whatever its spelling and side; None if there is none.

    >>> known_muscle("Right first dorsal interosseous")
    'FDI'
    """
    return KNOWN.get(_key(text))


def side(text: str) -> str | None:
    """Return the side of the body, ``L`` or ``R``, that the name of a muscle states; None if it states none or both.

    >>> side("FDI_R")
    'R'
    """
    stated = {SIDES[word] for word in _words(text) if word in SIDES}
    return stated.pop() if len(stated) == 1 else None


def vocabulary_text() -> str:
    """Return the vocabulary for a message: every name, with the others it goes by in brackets."""
    return ", ".join(name + (f" ({', '.join(others)})" if others else "") for name, others in VOCABULARY.items())
