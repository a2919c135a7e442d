"""The rules: standard library only; no await, no clock, no randomness, so that they read like the specification."""
