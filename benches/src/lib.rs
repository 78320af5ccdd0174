//! Benchmarks of kaireon against the raw drivers.
