"""The local world: everything a laptop needs to run Postbraid without Azure and without a Microsoft account."""
