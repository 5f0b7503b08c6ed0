"""Looking at a picture and checking it: previews, statistics, banding, fitness for delivery."""
