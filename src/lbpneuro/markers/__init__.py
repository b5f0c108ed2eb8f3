"""What each marker is: one module per family, each with its functions and descriptors."""
