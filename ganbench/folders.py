"""Where ganbench keeps, for this user, what may be lost: downloads, and what it remembers of earlier runs."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "GANBENCH_CACHE_DIR"
"""The environment variable that names another folder."""


def cache_folder() -> Path:
    """The folder; it need not exist yet."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("ganbench", appauthor=False))
