"""What changes a running lab besides `up`: manifests, settings, restarts, health."""
