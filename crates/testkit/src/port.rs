//! Ports for programs that must be told theirs. What can take port 0 should.
//!
//! Owns: finding free ones. Does not own: keeping them free; a caller tries again.

use std::net::TcpListener;

/// `N` different ports of loopback that nobody listens on now.
pub fn free<const N: usize>() -> [u16; N] {
    // All are held until all are known, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port exists"));
    held.map(|it| it.local_addr().expect("it is bound").port())
}
