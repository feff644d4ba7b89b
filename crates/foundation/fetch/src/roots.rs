//! Who vouches for a server.
//!
//! Owns: reading the authorities, the client's side of TLS. Does not own: names and addresses.
//!
//! Read anew for each connection: a fetch is rare, and a changed file counts at once.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use systole_world::{Clock, Disk, Open, World};

/// Where systems keep the authorities that they trust: Debian, Fedora, SUSE, Alpine and macOS.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Largest file of authorities, in bytes. Systems have 200 to 500 KiB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Certificates are judged by the clock that was handed in.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

pub(crate) async fn client(world: &World, ca_file: Option<&Path>) -> io::Result<ClientConfig> {
    let (disk, named) = (Arc::clone(&world.disk), ca_file.map(Path::to_owned));
    let reading = tokio::task::spawn_blocking(move || read(&*disk, named));
    let roots = reading.await.map_err(io::Error::other)??;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let time = Arc::new(Time(Arc::clone(&world.clock)));
    let builder = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read(disk: &dyn Disk, named: Option<PathBuf>) -> io::Result<RootCertStore> {
    let path = match named {
        Some(path) => path,
        None => system_file(disk)?,
    };
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let pem = read_file(disk, &path).map_err(failed)?;
    let mut roots = RootCertStore::empty();
    // One that this library cannot read must not take the others away.
    let (added, _) = roots
        .add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if added == 0 {
        return Err(failed(io::Error::other("holds no certificate")));
    }
    Ok(roots)
}

fn system_file(disk: &dyn Disk) -> io::Result<PathBuf> {
    let found = SYSTEM_FILES.iter().map(PathBuf::from).find(|it| disk.open(it, Open::Read).is_ok());
    found.ok_or_else(|| {
        let text = "this system has no file of authorities in a known place; name one";
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let length = file.len()?;
    if length > FILE_BYTES_MAX {
        let text = format!("larger than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
