"""The models: settings, module and loss of each side by side."""
