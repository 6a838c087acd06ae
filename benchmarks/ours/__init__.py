"""The measuring process of this package, in the sample LMS."""
