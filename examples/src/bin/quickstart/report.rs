//! What a marketer would want to see.

mod attribution;
mod click_through;
mod customer;
mod items;
mod outcome;

pub(crate) use attribution::attribution;
pub(crate) use click_through::click_through;
pub(crate) use customer::customer;
pub(crate) use items::items;
pub(crate) use outcome::{events, json, standing, throughput, verdict};
