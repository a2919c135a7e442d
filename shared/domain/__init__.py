"""The rules: standard library only; no await, no clock, no random, so that they read like the specification."""
