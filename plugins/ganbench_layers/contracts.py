"""What the contracts of several networks state alike. No torch here: registration must do without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SQUARE: Mapping[str, Any] = {"power_of_two": True, "min_resolution": 8}
"""Images, where they are any, with a side of 8, 16, 32, …"""

IMAGES: Mapping[str, Any] = {"data": "images", **SQUARE}

CONDITIONAL: Mapping[str, Any] = {"labels": {"conditional": (True,)}}
"""What a generator needs whose parameter `conditional` says whether it is told labels."""

CODES: Mapping[str, Any] = {"codes": ("{categories}", "{continuous}")}
"""What a network gives whose parameters say how many of InfoGAN's codes there are."""

HEADS: Mapping[str, Any] = {"features": True, "classes": {"conditioning": ("auxiliary",)}}

VERDICT: Mapping[str, Any] = {"logits": "scalar", "outputs": "{outputs}", "heads": HEADS}
"""What a critic of `ganbench_layers.critic` gives, whatever its layers are."""


def labelled(*ways: str) -> Mapping[str, Any]:
    """What a critic needs that is called with labels where `conditioning` is one of `ways`, and may be auxiliary."""
    return {"labels": {"conditioning": ways}, "classes": {"conditioning": ("auxiliary",)}}
