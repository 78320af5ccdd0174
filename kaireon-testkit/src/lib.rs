//! The executable specification of kaireon: conformance suites, model tests, crash and fault drivers.
