"""The embedded path from raw images to the derivatives that the markers read."""
