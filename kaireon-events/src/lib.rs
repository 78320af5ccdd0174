//! Event streams for kaireon: in-process now, brokers behind features.
