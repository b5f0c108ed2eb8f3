"""The cortical labels of Desikan-Killiany: names and numbers that FreeSurfer, FastSurfer, CAT12 and the atlas share."""

from __future__ import annotations

NAMES = {
    1: "bankssts",
    2: "caudalanteriorcingulate",
    3: "caudalmiddlefrontal",
    5: "cuneus",
    6: "entorhinal",
    7: "fusiform",
    8: "inferiorparietal",
    9: "inferiortemporal",
    10: "isthmuscingulate",
    11: "lateraloccipital",
    12: "lateralorbitofrontal",
    13: "lingual",
    14: "medialorbitofrontal",
    15: "middletemporal",
    16: "parahippocampal",
    17: "paracentral",
    18: "parsopercularis",
    19: "parsorbitalis",
    20: "parstriangularis",
    21: "pericalcarine",
    22: "postcentral",
    23: "posteriorcingulate",
    24: "precentral",
    25: "precuneus",
    26: "rostralanteriorcingulate",
    27: "rostralmiddlefrontal",
    28: "superiorfrontal",
    29: "superiorparietal",
    30: "superiortemporal",
    31: "supramarginal",
    32: "frontalpole",
    33: "temporalpole",
    34: "transversetemporal",
    35: "insula",
}
"""Names of the cortical labels by their number within a hemisphere."""

ONLY_IN_DK = ("bankssts", "frontalpole", "temporalpole")
"""Names that the DKT protocol (10.3389/fnins.2012.00171) gave up."""

HEMISPHERES = {"L": 1000, "R": 2000}
"""What is added to the number of a label on a side."""

NUMBERS = {(name, hemi): start + number for number, name in NAMES.items() for hemi, start in HEMISPHERES.items()}
"""Number of a label by name and side: ("postcentral", "L") is 1022."""
