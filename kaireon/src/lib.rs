//! One trait per concern, one environment variable per choice: the facade that hosts depend on.
