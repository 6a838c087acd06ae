"""A small real Django LMS: the tests, the demo and the benchmarks run on it. Not in the wheel."""
