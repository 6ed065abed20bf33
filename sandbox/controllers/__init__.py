"""Controllers of a real cluster on AWS that the sandbox's control plane lacks, started by who needs them."""
