"""How Sphinx builds the documentation; warnings are errors and notebooks run."""

from __future__ import annotations

import os

import brainstate_interop

project = "brainstate-interop"
author = "the brainstate-interop authors"
copyright = author
release = version = brainstate_interop.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "jupyter_execute", "**.ipynb_checkpoints"]

# Notebooks run in the CPU's own environment, once for each change of theirs.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "sphinx_book_theme"
html_title = "brainstate-interop"
html_theme_options = {"show_toc_level": 2}
