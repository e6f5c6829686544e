"""What waits, and how: all that differs between the two clients but their grammar."""

from __future__ import annotations

from time import sleep

__all__ = ["sleep"]
