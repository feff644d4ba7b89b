//! A cable between a client and a broker, which can be cut.
//!
//! Owns: carrying bytes both ways on loopback, and cutting. Does not own: what is carried.

use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Every connection to [`Cable::address`] is carried on to the broker. The broker must advertise
/// this address, or clients go round it.
#[derive(Debug)]
pub struct Cable {
    address: SocketAddr,
    cuts: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Cable {
    /// Listens on `at`, carries to `to` (which need not listen yet).
    pub async fn lay(at: SocketAddr, to: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let (cuts, seen) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, to, seen.clone()));
            }
        });
        Ok(Self { address, cuts, task })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }
    /// Ends all connections of this moment, wherever in a request they are.
    pub fn cut(&self) {
        self.cuts.send_modify(|it| *it += 1);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn carry(mut near: TcpStream, to: SocketAddr, mut cuts: watch::Receiver<u64>) {
    cuts.borrow_and_update();
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    tokio::select! {
        _ = cuts.changed() => {}
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
    }
}
