"""The rules: standard library only; no await, no clock, no chance, so that they read like the specification."""
