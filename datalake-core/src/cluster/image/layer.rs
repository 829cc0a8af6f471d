//! The one layer of an image: a program, certificate authorities, a user.

use std::fmt::Write as _;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::USER;
use super::entry::append;
use crate::error::{Error, Result};
use crate::format::digest::hex;

/// Where the certificate authorities are.
pub(super) const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Bytes of a certificate in a line of text.
const LINE: usize = 64;

pub(super) struct Layer {
    pub(super) compressed: Vec<u8>,
    /// Of what was compressed.
    pub(super) digest: String,
}

/// Hashes what passes by.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

pub(super) fn write(entrypoint: &str, program: &[u8]) -> Result<Layer> {
    let path = place(entrypoint)?;
    // The header of the compressed stream has no time and no name.
    let compressed = GzEncoder::new(Vec::new(), Compression::best());
    let mut tar = Builder::new(Hashed { inner: compressed, hash: Sha256::new() });
    let mut all = || -> std::io::Result<()> {
        for (folder, mode) in [("etc/", 0o755), ("etc/ssl/", 0o755), ("etc/ssl/certs/", 0o755), ("tmp/", 0o1777)] {
            append(&mut tar, folder, EntryType::Directory, mode, &[])?;
        }
        append(&mut tar, "etc/group", EntryType::Regular, 0o644, group().as_bytes())?;
        append(&mut tar, "etc/passwd", EntryType::Regular, 0o644, passwd().as_bytes())?;
        append(&mut tar, CERTIFICATES, EntryType::Regular, 0o644, certificates().as_bytes())?;
        for (end, _) in path.match_indices('/') {
            append(&mut tar, &path[..=end], EntryType::Directory, 0o755, &[])?;
        }
        append(&mut tar, path, EntryType::Regular, 0o755, program)
    };
    let finish = all().and_then(|()| tar.into_inner()).and_then(|hashed| {
        let Hashed { inner, hash } = hashed;
        Ok(Layer { compressed: inner.finish()?, digest: hex(&hash.finalize()) })
    });
    finish.map_err(|cause| Error::io("write", "the layer of an image", cause))
}

/// The path in the layer that an entrypoint names.
fn place(entrypoint: &str) -> Result<&str> {
    let invalid = |reason: &str| {
        Error::invalid("use", format_args!("the entrypoint `{entrypoint}`"))
            .with_reason(reason)
            .with_hint("choose a path such as /datalake")
    };
    let path = entrypoint.strip_prefix('/').ok_or_else(|| invalid("it does not begin with `/`"))?;
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(invalid("it is no plain path"));
    }
    if path.len() > 100 {
        return Err(invalid("it is longer than 100 bytes"));
    }
    match path.split('/').next() {
        Some("etc" | "tmp" | "proc" | "sys" | "dev") => Err(invalid("the image has a folder of its own there")),
        _ => Ok(path),
    }
}

fn passwd() -> String {
    format!("root:x:0:0:root:/:/none\ndatalake:x:{USER}:{USER}:datalake:/tmp:/none\n")
}

fn group() -> String {
    format!("root:x:0:\ndatalake:x:{USER}:\n")
}

/// All certificate authorities as text (RFC 7468).
fn certificates() -> String {
    let mut text = String::new();
    for certificate in TLS_SERVER_ROOT_CERTS {
        let encoded = BASE64_STANDARD.encode(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(LINE) {
            let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
