"""Connecting a mailbox: the settings page, the sign-in, the confirm page, the status."""
