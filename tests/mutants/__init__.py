"""`make mutants`: the product with one protocol step broken, and the test that must notice it."""
