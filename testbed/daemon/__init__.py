"""A running lab: its holder, its daemon, where its files are and how to talk to it."""
