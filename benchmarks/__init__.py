"""Benchmarks: how fast, in figures that can be compared on one machine. Not tests: nothing here passes or fails.

Three processes take turns: `ours`; `peer`, the plugin that this package replaces, in an environment of its own; and
`limit`, bare SQL that moves the same rows. Each answers requests (`measure`); `runner` asks them. `course`, `seed`,
`rest`, `hook` and `size` are what both environments share: the same data, the same questions.
"""
