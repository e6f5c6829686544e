"""The state protocol over a socket (docs/state-api.md §4), decided without one."""
