"""Stand-ins for what an app meets on Azure: App Service's identity endpoint and a Key Vault (see docs/simulator.md)."""
