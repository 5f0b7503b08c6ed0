"""How good a picture is against its reference, and what a figure is worth."""
