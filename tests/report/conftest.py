"""The study that the page tests look at, written once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lbpneuro.steps import group_report, participant_report
from tests.report.study import make_study


def participant_page(out: Path, participant: str, *, name: str | None = None) -> Path:
    """Run the step for one participant of a study and return the page."""
    page = out / f"{name or participant}.html"
    tables = sorted(out.glob(f"{participant}/**/{participant}*_markers.tsv"))
    tables = [table for table in tables if "_desc-" not in table.name]
    options = ["--out", str(page), "--config", str(out.parent / "config.json"), "--participant", participant]
    assert participant_report.main(["--in", *map(str, tables), *options]) == 0
    return page


def group_page(out: Path, *, name: str = "group") -> Path:
    """Run the group step of a study and return the page."""
    page = out / f"{name}.html"
    options = ["--out", str(page), "--config", str(out.parent / "config.json")]
    assert group_report.main(["--in", str(out / "markers_long.tsv"), *options]) == 0
    return page


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a study of six with its pages; not to be changed."""
    out = make_study(tmp_path_factory.mktemp("study"), participants=6)
    for number in range(1, 5):
        participant_page(out, f"sub-{number:02d}")
    group_page(out)
    return out


@pytest.fixture
def copied(study: Path, tmp_path: Path) -> Path:
    """A copy of the study that a test may change."""
    shutil.copy(study.parent / "config.json", tmp_path / "config.json")
    return Path(shutil.copytree(study, tmp_path / "out"))


@pytest.fixture(scope="session")
def chromium() -> Callable[..., str]:
    """Return the DOM and console of a page in headless Chromium, or skip."""
    import subprocess
    import tempfile

    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("no Chromium on this machine")

    def opened(page: Path) -> tuple[str, str]:
        with tempfile.TemporaryDirectory() as profile:
            quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-gpu"]
            command = [program, "--headless", "--no-sandbox", *quiet, f"--user-data-dir={profile}"]
            run = subprocess.run(
                [*command, "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom", page.as_uri()],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
        return run.stdout, "\n".join(line for line in run.stderr.splitlines() if "CONSOLE" in line)

    return opened
