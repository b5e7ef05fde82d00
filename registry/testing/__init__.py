"""For tests of plugins and techniques: the check before publishing, and the shortest honest call of any technique."""

from .plugin import check
from .report import Check, Report
from .short import blanks, generated_photos, is_small, smallest

__all__ = ["Check", "Report", "blanks", "check", "generated_photos", "is_small", "smallest"]
