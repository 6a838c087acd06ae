"""Pages for people: they own permissions and templates, and ask the selectors."""
