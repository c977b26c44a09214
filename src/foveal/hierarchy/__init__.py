"""A decision taken apart, stage by stage, into the features that support it (specification: gAP)."""
