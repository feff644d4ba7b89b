//! Puts the pages of `docs/errors/` into the binary, so that `systole explain` and the cure of
//! every error need no file beside it.
#![allow(clippy::disallowed_methods)] // it runs on the developer's machine

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let folder = root.join("../../docs/errors");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .map(|it| Ok(it?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    let mut source = String::from("&[\n");
    for name in names.iter().filter(|it| it.starts_with("SYS-")) {
        let path = folder.join(name).display().to_string();
        let code = name.trim_end_matches(".md");
        let _infallible = writeln!(source, "({code:?}, include_str!({path:?})),");
    }
    source.push(']');
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("pages.rs"), source)
}
