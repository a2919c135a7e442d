"""What azd's hooks of this folder share; the standard library only, so that any Python from 3.11 on runs them."""
