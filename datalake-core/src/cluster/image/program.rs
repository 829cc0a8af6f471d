//! A program that an image can hold: a Linux executable that needs no file beside itself.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use oci_spec::image::Arch;

use crate::error::{Error, ErrorKind, Result};

/// A static Linux executable.
#[derive(Debug, Clone)]
pub struct Program {
    bytes: Bytes,
    architecture: Arch,
}

impl Program {
    /// Reads one from a file.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a file that is no Linux executable or one that is linked against
    /// libraries; [`Unsupported`](crate::ErrorKind::Unsupported) for another machine than 64-bit x86 and ARM; as the file
    /// system has them.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|cause| Error::io("read", path.display(), cause))?;
        let subject = path.display();
        let refused = |reason: &str| Error::invalid("pack", &subject).with_reason(reason);
        let no_program = || refused("it is no Linux executable of 64 bits");
        let header = FileHeader64::<Endianness>::parse(&*bytes).map_err(|_| no_program())?;
        let endian = header.endian().map_err(|_| no_program())?;
        if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
            return Err(no_program());
        }
        let damaged = |cause: object::Error| refused("its headers are damaged").with_source(cause.to_string());
        for segment in header.program_headers(endian, &*bytes).map_err(damaged)? {
            let loader = segment.interpreter(endian, &*bytes).map_err(damaged)?;
            let dynamic = segment.dynamic(endian, &*bytes).map_err(damaged)?.unwrap_or_default();
            let needs = dynamic.iter().any(|entry| entry.tag(endian) == object::elf::DT_NEEDED);
            if loader.is_some() || needs {
                let loader = String::from_utf8_lossy(loader.unwrap_or(b"a loader"));
                return Err(refused(&format!("it is linked against libraries, which {loader} looks for")).with_hint(
                    "link it statically: --target x86_64-unknown-linux-musl with Rust, CGO_ENABLED=0 with Go",
                ));
            }
        }
        let architecture = match header.e_machine(endian) {
            EM_X86_64 => Arch::Amd64,
            EM_AARCH64 => Arch::ARM64,
            other => {
                return Err(Error::new(ErrorKind::Unsupported, "pack", subject)
                    .with_reason(format_args!("it is for machine {other}, neither x86-64 nor AArch64")));
            }
        };
        Ok(Self { bytes: bytes.into(), architecture })
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn architecture(&self) -> &Arch {
        &self.architecture
    }
}
