//! Variables of the environment that several backends read.

use std::str::FromStr;

use kaireon_core::{Error, ErrorKind, Result};

/// The variable that bounds the `max_pending` of a subscription.
pub(crate) const MAX_PENDING: &str = "KAIREON_EVENTS_MAX_PENDING";

/// A number from 1, where the variable is set.
///
/// # Errors
/// `Config` naming the variable.
pub(crate) fn number<T: FromStr + PartialOrd + From<u8>>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<Option<T>> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    let number = text.trim().parse().ok().filter(|number| *number >= T::from(1));
    let wrong = || Error::new(ErrorKind::Config, "is not a number from 1").with_field(name);
    number.map(Some).ok_or_else(wrong)
}
