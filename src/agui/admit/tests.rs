//! What agents send and what goes out, event by event.
