"""Following packets through a running lab: each module has the verb of its name."""
