"""Random worlds of several mailboxes, with workers that run at the same time; `python -m tests.worlds` runs them."""
