//! Images: of static programs, and of nothing else.

use crate::scratch::Scratch;

/// The headers of a static executable for x86-64, and nothing behind them.
fn executable() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [0x40_0000_u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0_u64, 0x40_0000, 0x40_0000, 120, 120, 4096] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[test]
fn a_static_program_becomes_an_image_of_one_digest() {
    let scratch = Scratch::new();
    scratch.write("minio", executable());
    let pack = |file: &str| {
        scratch.ok(&["image", "pack", "--name", "localhost/minio:1", "--entrypoint", "/minio", "-o", file, "minio"])
    };
    let said = pack("a.tar");
    assert!(said.contains("localhost/minio:1 in a.tar") && said.contains("sha256:"), "{said}");
    assert_eq!(said.split("sha256:").last(), pack("b.tar").split("sha256:").last());
    assert_eq!(std::fs::read(scratch.path("a.tar")).unwrap(), std::fs::read(scratch.path("b.tar")).unwrap());
}

#[test]
fn what_is_no_static_program_is_refused() {
    let scratch = Scratch::new();
    scratch.write("script", "#!/bin/sh\n");
    let pack =
        |program: &str| scratch.run(&["image", "pack", "--name", "x:1", "--entrypoint", "/x", "-o", "x.tar", program]);
    pack("script").failed(1, &["script", "no Linux executable"]);
    pack("nothing").failed(1, &["nothing"]);
    assert!(!scratch.path("x.tar").exists());
}
