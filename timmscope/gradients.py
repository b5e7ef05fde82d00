"""Gradients of a score to the pixels by a rule (plain, guided, deconvnet), on any network. It loads torch."""

from .registry.vision.explained import require_gradient
from .registry.vision.gradients import GuidedRule, guided_gradient, guided_rule

__all__ = ["GuidedRule", "guided_gradient", "guided_rule", "require_gradient"]
