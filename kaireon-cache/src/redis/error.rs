//! The errors of this backend. The table of the server's codes is `kaireon-connect`'s, as is the connection.

use kaireon_connect::redis::RedisFault;
use kaireon_core::{Effect, Error, ErrorKind};

use super::BACKEND;

/// A call that failed.
pub(super) fn failed(fault: RedisFault, operation: &'static str) -> Error {
    fault.into_error().with_operation(operation)
}

/// Whether a call did something, as far as its answer tells.
pub(super) fn may_have_done<T>(answer: &Result<T, RedisFault>) -> bool {
    match answer {
        Ok(_) => true,
        Err(fault) => fault.effect() == Effect::Unknown,
    }
}

/// One of several calls failed; what others did, or may have done, stays done.
pub(super) fn failed_in_part(fault: RedisFault, operation: &'static str, others_did: bool) -> Error {
    let error = failed(fault, operation);
    if others_did {
        error.with_effect(Effect::Unknown)
    } else {
        error
    }
}

/// The server's answer is none that the command has.
pub(super) fn strange(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Internal,
        "the server's answer does not fit what was asked",
    )
    .with_backend(BACKEND)
    .with_operation(operation)
}

/// A setting is out of bounds.
pub(super) fn config(field: &'static str, context: &'static str) -> Error {
    Error::new(ErrorKind::Config, context)
        .with_backend(BACKEND)
        .with_field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_several_calls_of_which_some_did_something_the_effect_is_unknown() {
        let nowhere = kaireon_connect::redis::RedisConnectConfig::from_url("redis://127.0.0.1:1");
        let refused = kaireon_connect::redis::RedisClient::connect(nowhere)
            .await
            .unwrap_err();
        let source = std::error::Error::source(&refused).unwrap();
        let fault: &RedisFault = source.downcast_ref().unwrap();
        let effect = |others_did| failed_in_part(fault.clone(), "set_many", others_did).effect();
        assert_eq!(
            (effect(false), effect(true)),
            (Effect::NotApplied, Effect::Unknown)
        );
        assert!(may_have_done(&Ok(())));
        assert!(!may_have_done::<()>(&Err(fault.clone())));
    }
}
