"""The roles of a process, a file each. A role is imported only if it runs, so that a process costs no more than it does."""
