//! The errors of this backend. The table of the server's codes is `kaireon-connect`'s, as is the connection.

use kaireon_connect::redis::{RedisClient, RedisCommand, RedisFault, RedisReply};
use kaireon_core::{Effect, Error, ErrorKind};

use super::BACKEND;

/// A call that failed.
pub(super) fn failed(fault: RedisFault, operation: &'static str) -> Error {
    fault.into_error().with_operation(operation)
}

/// The answer to a command, or the error of the operation that it is of.
pub(super) async fn call(
    client: &RedisClient,
    command: RedisCommand,
    operation: &'static str,
) -> kaireon_core::Result<RedisReply> {
    let answer = client.call(command).await;
    answer.map_err(|fault| failed(fault, operation))
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
    use kaireon_connect::redis::{RedisConnectConfig, RedisMode};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a server answers that greets, refuses the first command, and is gone at the second.
    async fn answers() -> [Result<RedisReply, RedisFault>; 3] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1_024];
            for answer in ["+PONG\r\n", "+OK\r\n", "-OOM no room\r\n"] {
                assert!(stream.read(&mut buffer).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
        });
        let config = RedisConnectConfig::from_url(url).with_mode(RedisMode::Standalone);
        let client = RedisClient::connect(config).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(client.call(RedisCommand::write("SET", "k").arg("v")).await);
        }
        server.await.unwrap();
        answers.try_into().unwrap()
    }

    #[tokio::test]
    async fn of_several_calls_of_which_some_did_something_the_effect_is_unknown() {
        let [done, refused, broken] = answers().await;
        assert!(may_have_done(&done) && !may_have_done(&refused) && may_have_done(&broken));
        let effect = |others_did| {
            let fault = refused.clone().unwrap_err();
            failed_in_part(fault, "set_many", others_did).effect()
        };
        assert_eq!(
            (effect(false), effect(true)),
            (Effect::NotApplied, Effect::Unknown)
        );
    }
}
