"""The model inside the package, and how it was made."""
