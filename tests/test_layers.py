"""Who may import whom: the rooms of the house, checked on the source without importing it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lbpneuro"
MODULES = sorted(SOURCE.rglob("*.py"))
HEAVY = {"nibabel", "nilearn", "mne", "mne_bids", "ants", "pandas", "pyarrow", "matplotlib", "jinja2", "bids2table"}
ARRAYS = {"numpy", "scipy"}

# room -> rooms of lbpneuro that it may import, third-party packages that it may import at the top of a module
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "kernels": ({"errors", "kernels"}, ARRAYS),
    "markers": ({"errors", "kernels", "markers"}, ARRAYS),
    "registry": ({"errors", "markers"}, set()),
    "io": ({"", "errors", "kernels", "markers", "registry", "io"}, {"numpy"}),
    "preprocess": ({"errors", "kernels", "markers", "registry", "io", "preprocess"}, ARRAYS),
    "simulate": ({"", "errors", "kernels", "markers", "registry", "io", "simulate"}, ARRAYS),
    "stats": ({"", "errors", "kernels", "markers", "registry", "io", "stats"}, ARRAYS),
    "report": ({"", "errors", "kernels", "markers", "registry", "io", "report"}, {"numpy"}),
    "steps": ({"errors", "kernels", "markers", "registry", "io", "preprocess", "stats", "report", "steps"}, {"numpy"}),
    "commands": ({"", "errors", "commands"}, set()),
    "cli": ({"", "errors"}, set()),
}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[tuple[str, bool]]:
    """Every imported module and whether it is imported when the module is (not in a function, not for typing)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.col_offset == 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.col_offset == 0))
    return found


def own_room(module: str) -> str | None:
    if module.split(".")[0] != "lbpneuro":
        return None
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_what_its_room_may(path: Path) -> None:
    name = room(path)
    if name in ("__init__", "__main__"):
        return
    rooms, packages = ALLOWED[name]
    for module, at_top in imports(ast.parse(path.read_text())):
        target = own_room(module)
        if target is not None and not (name in ("cli", "commands") and not at_top):
            assert target in rooms | {name}, f"{path.name} imports {module}"
        elif target is None and at_top:
            package = module.split(".")[0]
            assert package not in HEAVY, f"{path.name} imports the heavy {package} at its top"
            assert package not in ARRAYS - packages, f"{path.name} imports {package}"


def test_a_marker_module_imports_no_sibling() -> None:
    for path in (SOURCE / "markers").glob("*.py"):
        for module, _ in imports(ast.parse(path.read_text())):
            if module.startswith("lbpneuro.markers."):
                common = ("descriptor", "bold", "edges", "instrument", "motor_maps", "tissue", "volume_gates")
                shared = {f"lbpneuro.markers.{name}" for name in common}
                assert module in shared, f"{path.name} imports its sibling {module}"


def test_every_room_is_listed() -> None:
    assert {room(path) for path in MODULES} - {"__init__", "__main__"} == set(ALLOWED)


def test_every_deviation_states_its_degrees_of_freedom() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in ("std", "var", "cov", "nanstd", "nanvar"):
                assert any(keyword.arg == "ddof" for keyword in node.keywords), f"{path.name}:{node.lineno} hides ddof"


def function_lengths() -> list[tuple[int, str]]:
    lengths = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                documented = ast.get_docstring(node) is not None and len(node.body) > 1
                first = node.body[1] if documented else node.body[0]
                lengths.append((node.end_lineno - first.lineno + 1, f"{path.name}:{node.name}"))
    return sorted(lengths)


def test_functions_stay_small() -> None:
    lengths = function_lengths()
    assert lengths[len(lengths) // 2][0] <= 10
    assert lengths[int(0.9 * len(lengths))][0] <= 30
    assert lengths[-1][0] <= 60, lengths[-1]


def test_few_arguments() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                total = len(node.args.posonlyargs) + len(node.args.args) + len(node.args.kwonlyargs)
                assert total <= 9, f"{path.name}:{node.name} takes {total} arguments"


def test_the_registry_costs_little_more_than_numpy_to_import() -> None:
    """Every parse of the Snakefile imports it, on a cluster once per job."""
    listed = "import lbpneuro.registry, sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True).stdout.split()
    loaded = {name for name in found if not name.startswith("numpy.")}
    heavy = HEAVY | {f"scipy.{part}" for part in ("linalg", "optimize", "special", "signal", "ndimage", "stats")}
    assert not loaded & heavy
