"""Restorers small enough to be built, trained and asked by the dozen."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "srcnn": {"width": 4, "inner": 4},
    "espcn": {"width": 4, "inner": 4},
    "vdsr": {"depth": 4, "width": 4},
    "edsr": {"blocks": 2, "width": 4},
    "srgan": {"blocks": 2, "width": 4, "critic_width": 2},
    "dncnn": {"depth": 4, "width": 4},
    "dncnn-b": {"depth": 4, "width": 4},
    "dncnn-3": {"depth": 4, "width": 4},
    "dae": {"width": 2, "code": 4},
}
"""Settings by the name of the model."""
