"""Mixed model of the follow-ups of a trial: time x arm, baseline and covariates, a random intercept per person."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Array = NDArray[np.float64]
OPTIMISERS = ("bfgs", "lbfgs", "powell")
BOUNDARY = "no spread between people beyond baseline and arm was found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """A fitted model.

    Attributes
    ----------
    effects : (n_arm, n_follow)
        Difference of each treated arm from control at each follow-up.
    covariance : (n_arm * n_follow, n_arm * n_follow)
        Of the effects, row by row.
    df : float
        People less what is estimated between people.
    used : (n_person,) bool
        Who is in the model.
    level : float
        Of the intervals.
    note : str
        What to know of the fit.
    """

    effects: Array
    covariance: Array
    df: float
    used: NDArray[np.bool_]
    level: float
    note: str = ""

    def people(self, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
        """Return how many of two groups of people are in the model."""
        return float((self.used & first).sum()), float((self.used & second).sum())

    def at(self, arm: int, follow: int) -> dict[str, Any]:
        """Return the difference of an arm at one follow-up."""
        weights = np.zeros_like(self.effects)
        weights[arm, follow] = 1.0
        return self._contrast(weights)

    def average(self, arm: int) -> dict[str, Any]:
        """Return the mean difference of an arm over the follow-ups."""
        weights = np.zeros_like(self.effects)
        weights[arm] = 1 / self.effects.shape[1]
        return self._contrast(weights)

    def interaction(self, arm: int) -> dict[str, Any]:
        """Return the test that the difference of an arm is the same at all follow-ups, by F with a Wald chi-squared."""
        n_follow = self.effects.shape[1]
        own = slice(arm * n_follow, (arm + 1) * n_follow)
        differences = np.diff(np.eye(n_follow), axis=0)
        apart = differences @ self.effects[arm]
        spread = differences @ self.covariance[own, own] @ differences.T
        wald = float(apart @ np.linalg.solve(spread, apart))
        p = float(scipy.stats.f.sf(wald / len(apart), len(apart), self.df))
        return {"value": wald, "p": p, "df": self.df, "note": f"Wald chi-squared of {len(apart)} differences"}

    def _contrast(self, weights: Array) -> dict[str, Any]:
        w = weights.ravel()
        value, se = float(w @ self.effects.ravel()), float(np.sqrt(w @ self.covariance @ w))
        reach = float(scipy.stats.t.isf((1 - self.level) / 2, self.df)) * se
        p = 2 * float(scipy.stats.t.sf(abs(value) / se, self.df))
        found = {"value": value, "se": se, "ci_low": value - reach, "ci_high": value + reach, "p": p, "df": self.df}
        return {**found, "note": self.note or None}


def fit_mixed(values: Array, *, arms: Array, covariates: Array, level: float, free: bool = False) -> Mixed | str:
    """Return the mixed model of the follow-ups, or in words why there is none.

    ``y_ij = time_j + arm_i time_j + baseline_i time_j + covariates_i + u_i + e_ij`` by restricted maximum likelihood
    (statsmodels MixedLM), with errors that hold where the covariance of the model does not (`robust_covariance`). With
    ``free`` (MMRM) ``u_ij`` differs between follow-ups with any covariance G; with the variance s^2 of ``e_ij`` that of
    the follow-ups is ``G + s^2 I``, which may be any covariance. G and s^2 are not told apart, nor need they be.

    People with a baseline, all covariates and one follow-up or more are in it; what is missing of their follow-ups is
    taken as missing at random given what is in the model. Intervals take Student's t with the people less the
    parameters between people as degrees of freedom.

    Parameters
    ----------
    values : (n_person, n_session)
        The first session is the baseline; NaN where unknown.
    arms : (n_person, n_arm)
        1 for the people of a treated arm; all 0 for control.
    covariates : (n_person, n_covariate)
    level
        Of the intervals.
    free
        Whether the covariance of the follow-ups is free; else it is that of a random intercept.
    """
    follow = values[:, 1:]
    complete = np.isfinite(values[:, 0]) & np.isfinite(covariates).all(axis=1)
    used = complete & np.isfinite(follow).any(axis=1)
    person, time = np.nonzero(np.isfinite(follow) & used[:, np.newaxis])
    empty = [place + 1 for place in range(follow.shape[1]) if not (time == place).any()]
    if empty:
        return f"nobody has a value at follow-up {', '.join(map(str, empty))}; the model was not fitted"
    design, of_arm = _design(values[:, 0], arms, covariates, person, time)
    df = float(used.sum() - 2 - arms.shape[1] - covariates.shape[1])
    if df < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return "baseline, arm and covariates depend on each other, or people are too few; the model was not fitted"
    y = follow[person, time]
    scale = float(y.std(ddof=1))
    if not scale > 0:
        return "all values are the same; the model was not fitted"
    fit, note = _fit(y / scale, design, person, time, free=free)
    if fit is None:
        return note
    effects, covariance = fit
    n_arm, n_follow = arms.shape[1], follow.shape[1]
    return Mixed(
        effects=scale * effects[of_arm].reshape(n_arm, n_follow),
        covariance=scale**2 * covariance[np.ix_(of_arm, of_arm)],
        df=df,
        used=used,
        level=level,
        note=note,
    )


def _design(
    baseline: Array, arms: Array, covariates: Array, person: NDArray[np.int64], time: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int64]]:
    """Return the fixed effects (n_value, n_column), and which columns are arm x time, arm by arm."""
    at = (time[:, np.newaxis] == np.arange(time.max() + 1)).astype(np.float64)
    n_follow, n_arm = at.shape[1], arms.shape[1]
    known = baseline[person]
    centred = _unit(known)
    parts = [at, *(arms[person, [arm]][:, np.newaxis] * at for arm in range(n_arm)), centred[:, np.newaxis] * at]
    more = [_unit(covariates[person, column])[:, np.newaxis] for column in range(covariates.shape[1])]
    return np.hstack([*parts, *more]), n_follow + np.arange(n_arm * n_follow)


def _unit(column: Array) -> Array:
    """Return a column with mean 0 and standard deviation 1, which changes no effect of the arms."""
    spread = column.std(ddof=0)
    return np.asarray((column - column.mean()) / (spread if spread > 0 else 1.0))


def _fit(
    y: Array, design: Array, person: NDArray[np.int64], time: NDArray[np.int64], *, free: bool
) -> tuple[tuple[Array, Array] | None, str]:
    """Return (coefficients, covariance) and what to know of them, or None and why there are none."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    at = np.eye(time.max() + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # judged below, by what came of it
        warnings.filterwarnings("ignore", "Random effects covariance is singular", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            model = sm.MixedLM(y, design, groups=person, exog_re=at[time] if free else None)
            fit = model.fit(reml=True, method=list(OPTIMISERS))
        except np.linalg.LinAlgError as error:
            return None, f"the mixed model did not converge: {error}"
    within, between = float(fit.scale), np.asarray(fit.cov_re, dtype=np.float64)
    alike = not free and between[0, 0] < 1e-6 * within
    if not (fit.converged or alike) or not (np.isfinite(within) and np.isfinite(between).all()):
        return None, f"the mixed model did not converge by {', '.join(OPTIMISERS)}"
    coefficients = np.asarray(fit.fe_params, dtype=np.float64)
    variance = within * at + (between if free else np.full_like(at, max(between[0, 0], 0.0)))
    covariance = robust_covariance(y - design @ coefficients, design, person, time, variance=variance)
    return (coefficients, covariance), BOUNDARY if alike else ""


def robust_covariance(
    residuals: Array, design: Array, person: NDArray[np.int64], time: NDArray[np.int64], *, variance: Array
) -> Array:
    """Return the covariance of the coefficients that holds where that of the follow-ups is another than the model's.

    ``B (sum_i X_i' V_i^-1 A_i r_i r_i' A_i' V_i^-1 X_i) B`` with ``B = (sum_i X_i' V_i^-1 X_i)^-1`` and
    ``A_i = (I - X_i B X_i' V_i^-1)^-1``: what HC3 is for people with one value
    (Mancl & DeRouen 2001, 10.1111/j.0006-341X.2001.00126.x).

    Parameters
    ----------
    residuals : (n_value,)
    design : (n_value, n_column)
    person, time : (n_value,)
        Whose value it is, and at which follow-up.
    variance : (n_follow, n_follow)
        Of the follow-ups in the model; V_i are the rows and columns of those that a person has.
    """
    of_person = [np.flatnonzero(person == who) for who in np.unique(person)]
    weighted = [np.linalg.solve(variance[np.ix_(time[rows], time[rows])], design[rows]) for rows in of_person]
    bread = np.linalg.inv(sum(design[rows].T @ part for rows, part in zip(of_person, weighted, strict=True)))
    scores = []
    for rows, part in zip(of_person, weighted, strict=True):
        leverage = design[rows] @ bread @ part.T
        scores.append(part.T @ np.linalg.solve(np.eye(len(rows)) - leverage, residuals[rows]))
    half = bread @ np.array(scores).T
    return np.asarray(half @ half.T)
