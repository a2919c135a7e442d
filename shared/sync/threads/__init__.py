"""A thread under the hand of a person or the CRM: shown, stopped, resumed (R12)."""
