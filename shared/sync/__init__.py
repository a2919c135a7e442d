"""The use cases, one verb a file: load, ask a rule, act, record with its reason."""
