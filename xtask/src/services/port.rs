//! Which port a server listens on.

use std::net::{Ipv4Addr, TcpListener};

use crate::failure::{Context, Result};

/// The usual one while nobody has it, otherwise any that is free: two checkouts share a machine.
pub(super) fn free(usual: u16) -> Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = bind(usual).or_else(|_| bind(0)).context("no free port")?;
    Ok(listener.local_addr().context("a bound port")?.port())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::free;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free(port).unwrap(), port);
    }
}
