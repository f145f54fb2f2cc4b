"""A SageMaker that really runs its jobs on this machine, to find mistakes before they cost anything."""

from __future__ import annotations

from seedbed.plugins.amazon.rehearsal.fleet import Rehearsal

__all__ = ["Rehearsal"]
