//! Runnable examples of kaireon.
