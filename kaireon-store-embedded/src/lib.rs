//! The embedded interaction store of kaireon, on fjall.
