"""Sub-commands of ``lbpneuro`` that are more than a call: one module each, with ``main(argv)`` like a step."""
