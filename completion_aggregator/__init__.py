"""How far each learner has come, in every course, section, subsection and unit."""

__version__ = "5.0.0.dev0"
