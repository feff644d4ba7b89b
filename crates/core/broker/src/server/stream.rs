//! The bytes of a connection, plain or under TLS, as one thing.
//!
//! Owns: encryption and decryption on the way to and from the socket. Does not own: certificates
//! (`tls`), frames, time.
//!
//! Nothing here waits but [`Stream::readable`] and [`Stream::writable`]. Plain bytes go the way
//! they would go without this.

use bytes::BytesMut;
use rustls::ServerConnection;
use std::io::{self, BufRead as _, IoSlice, Read, Write};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

#[derive(Debug)]
pub(super) struct TlsStream {
    socket: TcpStream,
    tls: ServerConnection,
    /// There may be decrypted bytes for which the reader had no room.
    has_more: bool,
}

impl Stream {
    pub(super) fn tls(socket: TcpStream, tls: ServerConnection) -> Self {
        Self::Tls(Box::new(TlsStream { socket, tls, has_more: false }))
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.readable().await,
            Self::Tls(it) if it.has_more => Ok(()),
            Self::Tls(it) => it.socket.readable().await,
        }
    }
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.writable().await,
            Self::Tls(it) => it.socket.writable().await,
        }
    }
    /// Encrypted bytes wait for the socket.
    pub(super) fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(it) => it.tls.wants_write(),
        }
    }
    /// The TLS connection once its handshake is done; `None` before, and without TLS.
    pub(super) fn secured(&self) -> Option<&ServerConnection> {
        match self {
            Self::Tls(it) if !it.tls.is_handshaking() => Some(&it.tls),
            Self::Plain(_) | Self::Tls(_) => None,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(it) => it.tls.is_handshaking(),
        }
    }

    /// Reads what is here into the room of `to`; 0 means that the peer is done.
    pub(super) fn try_read_buf(&mut self, to: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read_buf(to),
            Self::Tls(it) => it.read(to),
        }
    }
    /// Writes what is taken now of the parts; the number of their bytes.
    pub(super) fn try_write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(parts),
            Self::Tls(it) => it.write(parts),
        }
    }
    /// Hands the socket what waits for it.
    pub(super) fn push(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(it) => it.push(),
        }
    }
    /// Tells the peer that this is the end and no accident, if that can be told at once.
    pub(super) fn say_goodbye(&mut self) {
        if let Self::Tls(it) = self {
            it.tls.send_close_notify();
            drop(it.push());
        }
    }
}

impl TlsStream {
    fn read(&mut self, to: &mut BytesMut) -> io::Result<usize> {
        loop {
            match self.take(to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => return taken,
            }
            if self.tls.read_tls(&mut Socket(&self.socket))? == 0 {
                return Ok(0);
            }
            let processed = self.tls.process_new_packets();
            // An answer of the handshake, or the reason for its end.
            let pushed = self.push();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            pushed?;
        }
    }

    /// Moves decrypted bytes.
    fn take(&mut self, to: &mut BytesMut) -> io::Result<usize> {
        // Holds even if nothing is at hand: a reader that is told of bytes that are not there would
        // ask for them without an end.
        self.has_more = false;
        let mut reader = self.tls.reader();
        let at_hand = reader.fill_buf()?;
        let room = to.capacity() - to.len();
        let count = at_hand.len().min(room);
        to.extend_from_slice(at_hand.get(..count).unwrap_or_default());
        reader.consume(count);
        self.has_more = count == room;
        Ok(count)
    }

    fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = self.tls.writer().write_vectored(parts)?;
        self.push()?;
        if written == 0 {
            written = self.tls.writer().write_vectored(parts)?;
            self.push()?;
        }
        if written == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    fn push(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Socket(&self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The socket as the TLS library sees it: it never waits.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(to)
    }
}
impl Write for Socket<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.try_write(from)
    }
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;

    /// Bytes of one TLS record, and of the reader's room: nothing is left over.
    const ROOM: usize = 1000;

    fn ends() -> (ServerConnection, ClientConnection) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        (
            ServerConnection::new(Arc::new(server)).unwrap(),
            ClientConnection::new(Arc::new(client), name).unwrap(),
        )
    }

    #[expect(clippy::disallowed_methods, reason = "the other end of a connection, on loopback")]
    #[tokio::test]
    async fn a_room_that_is_filled_exactly_is_not_called_readable_for_ever() {
        let (server, mut client) = ends();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let mut stream = rustls::Stream::new(&mut client, &mut socket);
            stream.write_all(&[7; ROOM]).unwrap();
            stream.flush().unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
        });
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut stream = Stream::tls(TcpStream::from_std(socket).unwrap(), server);
        let mut room = BytesMut::with_capacity(ROOM);
        while room.len() < ROOM {
            stream.readable().await.unwrap();
            match stream.try_read_buf(&mut room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => assert!(read.unwrap() > 0),
            }
        }
        let mut more = BytesMut::with_capacity(ROOM);
        let error = stream.try_read_buf(&mut more).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(stream.readable().now_or_never().is_none(), "nothing is here");
        stream.try_write_vectored(&[IoSlice::new(&[1])]).unwrap();
        client.join().unwrap();
    }
}
