"""A mixed model of the single responses of all people: the second estimator of homeostatic plasticity.

Every response counts once, people differ in their level and in how they go along with each block. It gives the mean
index of the group with an interval that knows of both, and per person an index drawn towards that mean the more, the
less its own trials say.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.kernels.plasticity import log_amplitude
from lbpneuro.markers.plasticity import BASELINE

if TYPE_CHECKING:
    import pandas as pd

PEOPLE_MIN = 5
COLUMNS: dict[str, str] = {
    "block": "Block of the protocol.",
    "estimate": "Mean index of the group: minus polarity times the mean log response less that of the baseline.",
    "se": "Its standard error.",
    "ci_low": "Lower end of its 95 % interval.",
    "ci_high": "Upper end.",
    "p": "Two-sided p of no change (Wald).",
    "between_sd": "Standard deviation between people of how they go along with a block.",
    "trial_sd": "Standard deviation of single responses within a block.",
    "people": "People.",
    "trials": "Responses.",
    "converged": "1: the fit converged.",
}
PERSON_COLUMNS: dict[str, str] = {
    "person": "Participant and session.",
    "block": "Block of the protocol.",
    "index": "Index from the means of the person's blocks.",
    "shrunken": "The same from the model, drawn towards the mean of the group.",
}


def fit(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of blocks and that of people; ``trials`` has ``person``, ``block``, ``p2p_uv``, ``polarity``.

    ``-polarity log(p2p + 1) ~ block + (1 | person) + (1 | person:block)`` by restricted maximum likelihood, the
    baseline as the block that the others are compared with.

    Raises
    ------
    InputError
        If fewer than five people have a baseline and another block.
    """
    import statsmodels.formula.api as smf
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    table = _usable(trials)
    formula = f"y ~ C(block, Treatment('{BASELINE}'))"
    model = smf.mixedlm(formula, table, groups="person", re_formula="1", vc_formula={"block": "0 + C(block)"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said in the column `converged`
        found = model.fit(reml=True, method="lbfgs")
    names = {name.partition("[T.")[2].rstrip("]"): name for name in found.fe_params.index if "[T." in name}
    return _blocks(found, names, table), _people(found, names, table)


def _usable(trials: pd.DataFrame) -> pd.DataFrame:
    table = trials[trials["polarity"] != 0]
    table = table.assign(y=-table["polarity"] * log_amplitude(table["p2p_uv"].to_numpy()))
    primed = table[table["block"] == BASELINE]["person"].unique()
    table = table[table["person"].isin(primed)]
    several = table.groupby("person")["block"].nunique()
    people = several.index[several > 1]
    if len(people) < PEOPLE_MIN:
        raise InputError(
            f"plasticity: {len(people)} people have a baseline and another block; the model needs {PEOPLE_MIN}."
        )
    return table[table["person"].isin(people)]


def _blocks(found: Any, names: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    limits = found.conf_int()
    rows = [
        {
            "block": block,
            "estimate": found.fe_params[name],
            "se": found.bse_fe[name],
            "ci_low": limits.loc[name, 0],
            "ci_high": limits.loc[name, 1],
            "p": found.pvalues[name],
            "between_sd": float(np.sqrt(found.vcomp[0])),
            "trial_sd": float(np.sqrt(found.scale)),
            "people": table["person"].nunique(),
            "trials": len(table),
            "converged": int(found.converged),
        }
        for block, name in names.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _people(found: Any, names: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    means = table.groupby(["person", "block"])["y"].mean()
    rows = []
    for person, effects in found.random_effects.items():
        named = {str(name).partition("C(block)[")[2].rstrip("]"): value for name, value in effects.items()}
        own = {block: value for block, value in named.items() if block}
        for block, name in names.items():
            if (person, block) not in means.index:
                continue
            shrunken = found.fe_params[name] + own[block] - own[BASELINE]
            index = means[person, block] - means[person, BASELINE]
            rows.append({"person": person, "block": block, "index": index, "shrunken": shrunken})
    return pd.DataFrame(rows, columns=list(PERSON_COLUMNS))
