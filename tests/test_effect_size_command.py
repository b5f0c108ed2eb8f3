"""``lbpneuro effect-size``: what it prints, and what it says to numbers that cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from lbpneuro import cli
from lbpneuro.kernels.effect_size import d_of_change, dppc2, effect_interval, glass_delta, groups, hedges_correction

DOCS = Path(__file__).resolve().parents[1] / "docs" / "trials.md"
BEMANI = ["effect-size", "--mean", "1.66", "3.86", "--sd", "2.00", "2.35", "--n", "35", "35"]
BASELINE = ["--baseline", "5.03", "5.03", "--baseline-sd", "0.92", "0.95", "--r", "-0.12"]


def printed(capsys, *arguments: str) -> dict:
    assert cli.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_contract(capsys) -> None:
    found = printed(capsys, *BEMANI)
    assert {key: round(found["d"][key], 3) for key in ("value", "ci_low", "ci_high")} == {
        "value": -1.008,
        "ci_low": -1.503,
        "ci_high": -0.507,
    }
    assert {key: round(found["g"][key], 3) for key in ("value", "ci_low", "ci_high")} == {
        "value": -0.997,
        "ci_low": -1.503,
        "ci_high": -0.507,
    }
    assert round(found["glass_delta"]["value"], 3) == -0.936
    assert found["difference"]["value"] == pytest.approx(-2.2)
    assert found["interval"] == {"method": "noncentral_t", "level": 0.95}


def test_text_says_the_same(capsys) -> None:
    assert cli.main(BEMANI) == 0
    said = capsys.readouterr().out
    assert re.search(r"Hedges' g +-0.997 +\[-1.503, -0.507\]", said)
    assert "first group minus second" in said
    assert "times J = 0.98892" in said


def test_order_of_groups_turns_the_sign(capsys) -> None:
    turned = printed(capsys, "effect-size", "--mean", "3.86", "1.66", "--sd", "2.35", "2", "--n", "35", "35")
    assert round(turned["g"]["value"], 3) == 0.997
    first = printed(capsys, *BEMANI, "--glass", "first")
    assert first["glass_delta"]["standardiser"] == 2.0


def test_change_and_wald(capsys) -> None:
    found = printed(capsys, *BEMANI, *BASELINE, "--ci", "wald")
    assert round(found["d_change"]["value"], 3) == -0.889
    assert round(found["dppc2"]["value"], 3) == -2.327
    assert round(found["g"]["ci_low"], 3) == -1.489
    narrow = printed(capsys, *BEMANI, "--level", "0.5")
    assert narrow["g"]["ci_low"] > -1.2


def test_difference_and_counts(capsys) -> None:
    resolve = printed(capsys, "effect-size", "--difference", "-1.0", "-1.5", "-0.4", "--n", "130", "131")
    numbers = [round(resolve["d_implied"][key], 2) for key in ("value", "ci_low", "ci_high", "standardiser")]
    assert numbers == [-0.44, -0.66, -0.18, 2.27]
    assert round(resolve["difference"]["se"], 2) == 0.28
    counts = printed(capsys, "effect-size", "--events", "5", "0", "--n", "30", "30")
    assert counts["risk_ratio"]["value"] == counts["risk_ratio"]["ci_high"] == "infinity"
    assert counts["number_needed"]["through_infinity"] is False
    assert cli.main(["effect-size", "--events", "10", "10", "--n", "40", "45"]) == 0
    assert "to infinity to harm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mean", "1", "2", "--n", "9", "9"], "--mean needs --sd"),
        (["--mean", "1", "2", "--sd", "0", "1", "--n", "9", "9"], "`sd` must be above 0"),
        (["--mean", "1", "nan", "--sd", "1", "1", "--n", "9", "9"], "`mean` must be finite"),
        (["--mean", "1", "2", "--sd", "1", "1", "--n", "1", "9"], "whole numbers of 2 or more"),
        (["--mean", "1", "2", "--sd", "1", "1", "--n", "9", "9", "--level", "95"], "`level` must lie"),
        (["--mean", "1", "2", "--sd", "1", "1", "--n", "9", "9", "--r", "0.5"], "together"),
        ([*BEMANI[1:], *BASELINE[:-1], "1.5"], "between -1 and 1"),
        (["--difference", "1", "-1.5", "-0.4", "--n", "9", "9"], "must hold the difference"),
        (["--events", "10", "1", "--n", "9", "9"], "`count` must lie"),
        (["--events", "1.5", "1", "--n", "9", "9"], "whole numbers"),
    ],
)
def test_impossible_input_is_refused_in_a_sentence(capsys, arguments: list[str], said: str) -> None:
    assert cli.main(["effect-size", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert not captured.out


@pytest.mark.parametrize("arguments", [["--n", "9", "9"], [*BEMANI[1:], "--events", "1", "2"]])
def test_one_kind_of_input(capsys, arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["effect-size", *arguments])
    assert "give one of --mean" in capsys.readouterr().err


def test_the_documented_table_is_what_the_kernels_say() -> None:
    text = DOCS.read_text(encoding="utf-8").replace("−", "-")
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    after = groups(mean=[1.66, 3.86], sd=[2.00, 2.35], n=[35, 35])
    before = groups(mean=[5.03, 5.03], sd=[0.92, 0.95], n=[35, 35])
    changes = {f"d of change, r = {r:g}": d_of_change(before, after, r=r) for r in (0.0, 0.5, -0.12)}
    for name, effect in changes.items():
        low, high = effect_interval(effect)
        assert f"| {float(effect.value):.3f} | noncentral t [{float(low):.3f}, {float(high):.3f}]" in rows[name]
    glass = [effect_interval(glass_delta(after, equal_variances=same), method="wald") for same in (True, False)]
    said = rows["Glass's delta, SD of the control"]
    assert all(f"[{float(low):.3f}, {float(high):.3f}]" in said for low, high in glass)
    assert f"{float(dppc2(before, after, r=0.3).value):.3f}" in rows["dppc2, any r"]
    d = -2.2 / np.sqrt((34 * np.sum(after.sd**2) + 35 / 2 * 2.2**2) / 69)
    corrected = d * float(hedges_correction(68))
    reach = 1.96 * np.sqrt(2 / 35 + corrected**2 / 140)
    said = f"{corrected:.3f} [{corrected - reach:.3f}, {corrected + reach:.3f}]"
    assert said in rows["SD ignoring the groups, 2.433"]
