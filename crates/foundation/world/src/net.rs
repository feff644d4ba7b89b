//! Sockets.
//!
//! Owns: opening them. Does not own: protocols, limits, or whether a door may open (`guard`).

use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// How many connections may wait to be accepted.
const BACKLOG_CONNECTIONS: u32 = 1024;

/// Listens on `at`; port 0 takes a free one (ask the listener which).
pub fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG_CONNECTIONS)
}

/// Connects with `TCP_NODELAY`: requests are small and someone waits for the answer.
pub async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses of a host; of an address, itself. Waits for the system's resolver.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}
