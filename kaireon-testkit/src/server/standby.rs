//! Streaming replicas.

use std::io;

use super::owner::said;
use super::postgres::PostgresServer;

impl PostgresServer {
    /// Copies this server while it runs, and starts the copy as its standby, which follows it by streaming
    /// replication. `name` is what this server knows it by (`application_name` in `pg_stat_replication`, and in
    /// `synchronous_standby_names`); `settings` are the standby's, on top of those of this server.
    ///
    /// `SELECT pg_promote()` on the standby makes a primary of it.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    ///
    /// # Dropped futures
    ///
    /// As for [`start`](Self::start).
    pub async fn standby(&self, name: &str, settings: &[(&str, &str)]) -> io::Result<Self> {
        let mut standby = Self::new(&self.programs).await?;
        let mut copy = standby.owner.command(self.programs.join("pg_basebackup"));
        copy.current_dir(&standby.folder)
            .arg("--pgdata")
            .arg(&standby.data)
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
                "--no-password",
            ])
            .arg("--dbname")
            .arg(format!(
                "host=127.0.0.1 port={} user=postgres application_name={name}",
                self.port
            ));
        said(&mut copy).await?;
        standby.set(settings)?;
        standby.begin().await?;
        Ok(standby)
    }
}
