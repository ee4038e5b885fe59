"""Errors that the command line prints as one line: what is wrong, where, what is allowed, what to do."""

from torchprimer.predictor.errors import UserError, did_you_mean

__all__ = ["UserError", "did_you_mean"]
