//! A subscriber that knows nothing of us: `redis-cli SUBSCRIBE`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Context, Result};

/// How long it is waited for until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// A subscriber at work; it ends with this.
pub(super) struct RedisCli {
    process: Child,
    output: PathBuf,
}

/// What it printed.
#[derive(Debug)]
pub(super) struct Heard(String);

impl RedisCli {
    /// Returns when it listens to all channels.
    pub(super) fn listen(programs: &Path, url: &str, folder: &Path, channels: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(folder).context(folder.display())?;
        let output = folder.join("heard.txt");
        let file = File::create(&output).context(output.display())?;
        let process = Command::new(programs.join("redis-cli"))
            .args(["-u", url, "--no-auth-warning", "SUBSCRIBE"])
            .args(channels)
            .stdin(Stdio::null())
            .stdout(file)
            .spawn()
            .context("redis-cli")?;
        let mut listener = Self { process, output };
        let start = Instant::now();
        while listener
            .so_far()?
            .0
            .lines()
            .filter(|line| *line == "subscribe")
            .count()
            < channels.len()
        {
            if let Some(status) = listener.process.try_wait().context("redis-cli")? {
                return Err(format!("redis-cli ended: {status}: {:?}", listener.so_far()?).into());
            }
            if start.elapsed() > PATIENCE {
                return Err("redis-cli does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(listener)
    }

    fn so_far(&self) -> Result<Heard> {
        std::fs::read_to_string(&self.output)
            .context(self.output.display())
            .map(Heard)
    }

    /// What it has heard when it hears no more.
    pub(super) fn heard(self) -> Result<Heard> {
        let mut last = self.so_far()?;
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.so_far()?;
            if now.0.len() == last.0.len() {
                return Ok(now);
            }
            last = now;
        }
    }
}

impl Drop for RedisCli {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Heard {
    /// How many different events came on a channel, each in an envelope with the documented members.
    pub(super) fn ids(&self, channel: &str) -> Result<u64> {
        let lines: Vec<_> = self.0.lines().collect();
        let mut ids = BTreeSet::new();
        for message in lines
            .windows(3)
            .filter(|three| three[..2] == ["message", channel])
        {
            let text = message[2];
            let envelope: Value = serde_json::from_str(text).context(text)?;
            let members: BTreeSet<_> = envelope
                .as_object()
                .into_iter()
                .flat_map(|object| object.keys())
                .collect();
            let members: Vec<_> = members.into_iter().collect();
            let of_type = envelope["type"] == channel && envelope["payload"]["tenantId"].is_string();
            match envelope["id"].as_str() {
                Some(id) if of_type && members == ["id", "payload", "timestamp", "type"] => {
                    ids.insert(id.to_owned());
                }
                _ => return Err(format!("no envelope of {channel}: {text}").into()),
            }
        }
        u64::try_from(ids.len()).context("so many")
    }
}

#[cfg(test)]
mod tests {
    use super::Heard;

    #[test]
    fn events_are_counted_once_by_channel_and_anything_else_is_told() {
        let envelope = |id: &str, topic: &str| {
            format!(r#"{{"id":"{id}","type":"{topic}","timestamp":"x","payload":{{"tenantId":"t"}}}}"#)
        };
        let message = |id: &str| format!("message\na.v1\n{}\n", envelope(id, "a.v1"));
        let head = "subscribe\na.v1\n1\n".to_owned();
        let heard = Heard(head.clone() + &message("1") + &message("2") + &message("1"));
        assert_eq!((heard.ids("a.v1").unwrap(), heard.ids("b.v1").unwrap()), (2, 0));
        let strange = Heard(head + &format!("message\na.v1\n{}\n", envelope("1", "b.v1")));
        assert!(strange.ids("a.v1").is_err());
        assert!(Heard("message\na.v1\nhello\n".to_owned()).ids("a.v1").is_err());
    }
}
