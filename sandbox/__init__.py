"""The sandbox: a local world in which Postbraid runs without Azure and without a Microsoft account."""
