"""Would a picture survive production? Measures that need no opinion, beside real footage and plain 8-bit input."""
