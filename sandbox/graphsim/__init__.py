"""An imitation of Microsoft 365: Entra sign-in, Graph mail, subscriptions and notifications. Held to the facts, not to a client."""
