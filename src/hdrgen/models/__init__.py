"""The models: settings, module and loss of each side by side, their files of weights, and what they share."""
