"""Attention: scores of pixels into weights, and what the weights gather."""
