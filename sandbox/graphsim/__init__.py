"""An imitation of Microsoft 365: Entra sign-in, Graph mail, subscriptions and notifications (docs/simulator.md)."""
