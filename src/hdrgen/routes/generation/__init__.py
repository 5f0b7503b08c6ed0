"""From words to light: what was trained is found, loaded, and asked for pictures."""
