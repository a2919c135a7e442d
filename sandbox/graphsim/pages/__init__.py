"""Pages of the simulator: sign-in, mailboxes, overview."""
