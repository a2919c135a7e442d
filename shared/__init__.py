"""What the product is made of; see the map in README.md."""
