"""Sphinx settings of the documentation."""

project = "lbpneuro"
author = "the lbpneuro developers"
copyright = "2026, the lbpneuro developers"  # noqa: A001
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "lbpneuro"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
