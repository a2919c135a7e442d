"""For operators and for the CRM's developers: what is held and what was given up, shown and made due again."""
