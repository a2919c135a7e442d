"""One mailbox: its rows and the one way to change them, access to Graph, consent, subscription, failures."""
