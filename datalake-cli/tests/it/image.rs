//! Images: of static programs, and of nothing else, in archives and in a registry.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::registry::Registry;
use crate::scratch::{Ran, Scratch};

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

/// An archive with an image of a program that is longer than a piece of what is sent at a time, and hard to compress.
fn packed(scratch: &Scratch) -> Vec<u8> {
    let mut program = executable();
    let mut state = 1_u64;
    while program.len() < 1 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        program.extend(state.to_be_bytes());
    }
    scratch.write("minio", &program);
    scratch.ok(&["image", "pack", "--name", "localhost/minio:1", "--entrypoint", "/minio", "-o", "minio.tar", "minio"]);
    program
}

/// Pushes what was packed, knowing no credentials but those of the folder.
fn push(scratch: &Scratch, name: &str, more: &[&str]) -> Ran {
    let mut command = scratch.command(&["image", "push", name, "--from", "minio.tar"]);
    command.args(more).env("DOCKER_CONFIG", scratch.path("docker")).env("HOME", scratch.path("home"));
    for variable in ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"] {
        command.env_remove(variable);
    }
    // A proxy is not for what is on this machine.
    command.env("HTTP_PROXY", "http://127.0.0.1:1").env("http_proxy", "http://127.0.0.1:1");
    // Where a test has a credential helper.
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", scratch.path("bin").display()));
    Ran::of(command.output().unwrap())
}

#[test]
fn a_pushed_image_is_the_packed_one() {
    let Some(registry) = Registry::start() else { return };
    let scratch = Scratch::new();
    let program = packed(&scratch);
    let name = registry.name("team/minio:1");
    let pushed = push(&scratch, &name, &["--output", "json"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let pushed: Value = serde_json::from_str(&pushed.stdout).unwrap();
    assert_eq!(pushed["name"], *name);
    assert!(pushed["sent"].as_u64().unwrap() > 1 << 20, "{pushed}");

    registry.crane(&["validate", "--remote", &name]);
    let digest = String::from_utf8(registry.crane(&["digest", &name])).unwrap();
    assert_eq!(pushed["digest"], *digest.trim());
    let exported = scratch.write("exported.tar", registry.crane(&["export", &name, "-"]));
    let held = Command::new("tar").arg("-xOf").arg(exported).arg("minio").output().unwrap();
    assert!(held.stdout == program, "{}", String::from_utf8_lossy(&held.stderr));
    let config: Value = serde_json::from_slice(&registry.crane(&["config", &name])).unwrap();
    assert_eq!(config["config"]["Entrypoint"][0], "/minio");

    // Again, and under another tag: only the tag is new.
    let uploads = registry.requests("POST /v2/team/minio/blobs/uploads");
    assert_eq!(uploads, 2);
    for name in [name, registry.name("team/minio:2")] {
        let again = push(&scratch, &name, &[]);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.stdout.contains("nothing new") && again.stdout.contains(digest.trim()), "{again:?}");
        registry.crane(&["validate", "--remote", &name]);
    }
    assert_eq!(registry.requests("POST /v2/team/minio/blobs/uploads"), uploads);
    assert_eq!(registry.requests("PUT /v2/team/minio/manifests"), 3);
}

#[test]
fn a_push_that_cannot_be_says_why() {
    let scratch = Scratch::new();
    packed(&scratch);
    push(&scratch, "registry.local/minio", &[])
        .failed(1, &["registry.local/minio", "no tag", "REGISTRY/REPOSITORY:TAG"]);
    push(&scratch, "minio:1", &[]).failed(1, &["`minio:1`", "which registry"]);
    push(&scratch, &format!("registry.local/minio@sha256:{}", "0".repeat(64)), &[]).failed(1, &["digest"]);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    push(&scratch, &format!("{address}/minio:1"), &[]).failed(4, &[&format!("`{address}` does not answer")]);

    scratch.write("minio.tar", "no archive");
    push(&scratch, &format!("{address}/minio:1"), &[]).failed(1, &["minio.tar", "no archive"]);
    fs::remove_file(scratch.path("minio.tar")).unwrap();
    push(&scratch, &format!("{address}/minio:1"), &[]).failed(1, &["minio.tar"]);
}

#[test]
fn a_credential_helper_is_asked_and_not_quoted() {
    let scratch = Scratch::new();
    packed(&scratch);
    let helper = |script: &str| {
        let path = scratch.write("bin/docker-credential-drawer", format!("#!/bin/sh\ncat >/dev/null\n{script}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    scratch.write("docker/config.json", r#"{"credsStore": "drawer"}"#);
    helper("echo hidden-words; exit 1");
    let ran = push(&scratch, "registry.local/minio:1", &[]);
    ran.failed(3, &["registry.local", "docker-credential-drawer", "docker login registry.local"]);
    assert!(!ran.stderr.contains("hidden-words"), "{ran:?}");

    let Some(registry) = Registry::start() else { return };
    for script in [
        r#"echo '{"ServerURL": "x", "Username": "user", "Secret": "hidden-words"}'"#,
        "echo 'credentials not found in native keychain'; exit 1",
    ] {
        helper(script);
        let ran = push(&scratch, &registry.name("minio:1"), &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}
