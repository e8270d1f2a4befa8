"""The switch between building models for real and building skeletons that hold only shapes."""

from __future__ import annotations

from contextvars import ContextVar

#: True while a skeleton is being built. A context variable, so that threads and tasks that build
#: models side by side do not see each other's mode.
ABSTRACT: ContextVar[bool] = ContextVar("abstract", default=False)
