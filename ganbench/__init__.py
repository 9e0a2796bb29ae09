"""Compare GANs under equal budgets, several seeds and one named protocol."""

from __future__ import annotations

__version__ = "0.1.0"
