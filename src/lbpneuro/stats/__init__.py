"""The cohort layer: what is computed over the people of a study."""
