//! What an image holds, and that it is the same each time.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;

/// The smallest static executable of a machine: a header, and one segment to load.
pub(super) fn executable(machine: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(2_u16.to_le_bytes()); // an executable
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0x40_0000_u64.to_le_bytes()); // where it begins
    bytes.extend(64_u64.to_le_bytes()); // where segments are described
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes()); // to be loaded
    bytes.extend(5_u32.to_le_bytes());
    for word in [0_u64, 0x40_0000, 0x40_0000, 120, 120, 4096] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

pub(super) fn program_of(bytes: &[u8]) -> Result<Program> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Program::read(file.path())
}

fn image() -> Image {
    Image::new("localhost/datalake:1.0", "/opt/datalake", &program_of(&executable(62)).unwrap()).unwrap()
}

/// Path, permissions and content of what an archive holds, in its order.
fn entries(archive: impl Read) -> Vec<(String, u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let (mut content, header) = (Vec::new(), entry.header().clone());
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), header.mode().unwrap(), content)
    });
    entries.collect()
}

fn archive(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_archive(&mut bytes).unwrap();
    bytes
}

#[test]
fn one_program_gives_one_image_to_the_byte() {
    assert_eq!(image().digest(), image().digest());
    assert_eq!(archive(&image()), archive(&image()));
    let other = Image::new("localhost/datalake:1.1", "/opt/datalake", &program_of(&executable(62)).unwrap()).unwrap();
    assert_eq!(other.digest(), image().digest(), "a name is no part of what it names");
}

#[test]
fn an_archive_leads_from_its_index_to_the_program() {
    let files: BTreeMap<String, Vec<u8>> =
        entries(&*archive(&image())).into_iter().map(|(path, _, content)| (path, content)).collect();
    let read = |path: &str| -> Value { serde_json::from_slice(&files[path]).unwrap() };
    // Every blob is what its name says.
    let blob = |descriptor: &Value| -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        let content = files[&format!("blobs/sha256/{digest}")].clone();
        assert_eq!(
            (hex(&Sha256::digest(&content)), content.len() as u64),
            (digest, descriptor["size"].as_u64().unwrap())
        );
        content
    };
    assert_eq!(read("oci-layout")["imageLayoutVersion"], "1.0.0");
    let listed = &read("index.json")["manifests"][0];
    assert_eq!(listed["annotations"]["io.containerd.image.name"], "localhost/datalake:1.0");
    assert_eq!(listed["annotations"]["org.opencontainers.image.ref.name"], "1.0");
    assert_eq!(listed["platform"]["architecture"], "amd64");
    let manifest: Value = serde_json::from_slice(&blob(listed)).unwrap();
    let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/opt/datalake");
    let (mut layer, compressed) = (Vec::new(), blob(&manifest["layers"][0]));
    GzDecoder::new(&*compressed).read_to_end(&mut layer).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&Sha256::digest(&layer))));

    let held = entries(&*layer);
    let modes: Vec<(&str, u32)> = held.iter().map(|(path, mode, _)| (path.as_str(), *mode)).collect();
    let expected = [
        ("etc/", 0o755),
        ("etc/ssl/", 0o755),
        ("etc/ssl/certs/", 0o755),
        ("tmp/", 0o1777),
        ("etc/group", 0o644),
        ("etc/passwd", 0o644),
        (layer::CERTIFICATES, 0o644),
        ("opt/", 0o755),
        ("opt/datalake", 0o755),
    ];
    assert_eq!(modes, expected);
    assert_eq!(held[8].2, executable(62));
    assert!(String::from_utf8_lossy(&held[6].2).matches("BEGIN CERTIFICATE").count() > 100);

    let docker = &read("manifest.json")[0];
    assert_eq!(docker["RepoTags"][0], "localhost/datalake:1.0");
    assert!(files.contains_key(docker["Config"].as_str().unwrap()));
    assert!(files.contains_key(docker["Layers"][0].as_str().unwrap()));
}

#[test]
fn only_static_linux_executables_are_packed() {
    assert_eq!(program_of(&executable(183)).unwrap().architecture(), &Arch::ARM64);
    let refused = |bytes: &[u8]| program_of(bytes).unwrap_err();
    assert!(refused(b"#!/bin/sh\n").to_string().contains("no Linux executable"));
    assert!(refused(&executable(8)).to_string().contains("machine 8"));
    // This test is linked against the C library.
    let error = Program::read(&std::env::current_exe().unwrap()).unwrap_err();
    assert!(error.to_string().contains("linked against libraries"), "{error}");
    assert!(error.hint().unwrap().contains("musl"));
    assert_eq!(Program::read("/nowhere".as_ref()).unwrap_err().kind(), crate::ErrorKind::NotFound);
    for end in 0..executable(62).len() {
        refused(&executable(62)[..end]);
    }
}

#[test]
fn an_entrypoint_is_a_plain_path_of_its_own() {
    let program = program_of(&executable(62)).unwrap();
    let refused = |entrypoint: &str| Image::new("x:1", entrypoint, &program).unwrap_err().to_string();
    for entrypoint in ["minio", "", "/", "//minio", "/a/../minio", "/./minio", "/etc/passwd", "/tmp/x", "/a/"] {
        assert!(refused(entrypoint).contains(&format!("the entrypoint `{entrypoint}`")), "{entrypoint}");
    }
    assert!(refused(&format!("/{}", "x".repeat(101))).contains("longer than 100 bytes"));
}

#[test]
fn a_name_is_that_of_an_image_with_a_tag() {
    let program = program_of(&executable(62)).unwrap();
    let name = |name: &str| Image::new(name, "/x", &program).map(|image| image.name());
    assert_eq!(name("localhost/minio:1").unwrap(), "localhost/minio:1");
    for wrong in ["", "UPPER:1", "a b", "x@sha256:0000000000000000000000000000000000000000000000000000000000000000"] {
        assert!(name(wrong).unwrap_err().to_string().contains(&format!("the image `{wrong}`")), "{wrong}");
    }
}

#[test]
fn a_file_is_there_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    image().save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), archive(&image()));
    assert!(image().save(&folder.path().join("nowhere/image.tar")).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    image().save(&path).unwrap();
    let read = Image::open(&path).unwrap();
    assert_eq!((read.name(), read.digest(), read.size()), (image().name(), image().digest(), image().size()));
    assert_eq!(archive(&read), archive(&image()));
}

/// An archive with one file more, or another content of one.
fn archive_with(path: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (held, mode, content) in entries(&*archive(&image())) {
        let content = if held == path { change(&content) } else { Some(content) };
        if let Some(content) = content {
            entry::append(&mut tar, &held, tar::EntryType::Regular, mode, &content).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

#[test]
fn what_is_no_image_or_damaged_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Image::open(&path).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{error:?}");
        assert!(error.to_string().contains("image.tar") && error.hint().is_some(), "{error:?}");
        error.reason().unwrap().to_owned()
    };
    assert!(refused(b"").contains("no `index.json`"));
    assert!(refused(&[7; 5000]).contains("no archive of tar"));
    let whole = archive(&image());
    assert!(refused(&whole[..2000]).contains("ends too early"));

    let layer = format!("blobs/sha256/{}", image().layer.digest);
    assert!(refused(&archive_with(&layer, |_| None)).contains("is missing"));
    let flipped = archive_with(&layer, |content| {
        let mut content = content.to_vec();
        content[20] ^= 1;
        Some(content)
    });
    assert!(refused(&flipped).contains("is damaged"));
    assert!(refused(&archive_with("index.json", |_| Some(b"{}".to_vec()))).contains("cannot be understood"));
    let none = br#"{"schemaVersion": 2, "manifests": []}"#;
    assert!(refused(&archive_with("index.json", |_| Some(none.to_vec()))).contains("0 images"));
    assert_eq!(Image::open("/nowhere".as_ref()).unwrap_err().kind(), crate::ErrorKind::NotFound);
}
