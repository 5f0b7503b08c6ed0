"""What codes and exposures say without a network: quantisation tables, alignment, exposure values, classical merges."""
